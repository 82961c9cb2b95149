"""The annealer as a sampler of D-Wave's dimod; needs the package `dimod`.

    from qama.dimod import Sampler
    print(Sampler().sample(bqm, num_reads=10))
"""
import dimod

from .problem import Problem, sample

__all__ = ["Sampler"]


class Sampler(dimod.Sampler):
    """Solves binary quadratic models of up to 2^20 variables on this machine."""

    # From a parameter of sample() to the properties that say more of it.
    parameters = {"num_reads": [], "seed": [], "num_sweeps": [], "time_limit": [], "target": [],
                  "threads": [], "device": []}
    properties = {}

    def sample(self, bqm, num_reads=1, seed=1, num_sweeps=None, time_limit=None, target=None,
               threads=1, device=None, **ignored):
        """A dimod.SampleSet, the lowest energy first.

        num_reads: searches, each with a seed of its own; each takes up to time_limit seconds.
        num_sweeps: of a restart. target: an energy that is low enough. device: as `qama solve` has
        it. Other parameters are ignored with a warning, as dimod's samplers do.
        """
        self.remove_unknown_kwargs(**ignored)
        names = list(bqm.variables)
        if not names:
            return dimod.SampleSet.from_samples_bqm([], bqm)
        linear = {name: float(bias) for name, bias in bqm.linear.items()}
        couplings = {pair: float(bias) for pair, bias in bqm.quadratic.items()}
        if bqm.vartype is dimod.SPIN:
            problem = Problem.ising(linear, couplings, float(bqm.offset))
        else:
            terms = {(name, name): bias for name, bias in linear.items()}
            problem = Problem.qubo({**terms, **couplings}, float(bqm.offset))
        found = sample(problem, num_reads, seed=seed, sweeps=num_sweeps, time_limit=time_limit,
                       target=target, threads=threads, device=device)
        return dimod.SampleSet.from_samples_bqm((found.samples, list(problem.variables)), bqm,
                                                num_occurrences=found.counts)
