# Sourced by the scripts beside it that go through several steps: what a step is called and how long it should take.
# shellcheck shell=bash
steps_begin=$SECONDS
steps_done=0

# steps_next TOTAL SECONDS TEXT...: announces the next step, with the minutes gone by and those that it should take.
steps_next() {
  local total=$1 expected=$2
  shift 2
  steps_done=$((steps_done + 1))
  printf '[%d/%d, %d:%02d gone] %s (about %d:%02d min)\n' "$steps_done" "$total" \
    $(((SECONDS - steps_begin) / 60)) $(((SECONDS - steps_begin) % 60)) "$*" $((expected / 60)) $((expected % 60))
}

# steps_build_seconds PRESET [TARGET...]: seconds that a configured build should still take here: those of the objects
# that are not there yet. A compilation takes some 2 seconds of one core.
steps_build_seconds() {
  local name=$1 left=0 object
  shift
  while read -r _ object; do
    [[ -e build/$name/$object ]] || left=$((left + 1))
  done < <(ninja -C "build/$name" -t commands "$@" | grep -oE -- '-o [^ ]+\.o( |$)')
  echo $((left * 2 / $(nproc) + 1))
}
