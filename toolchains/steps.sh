# Sourced by demo and test: announces step k of n with the minutes gone by and the minutes it should take.
# shellcheck shell=bash
steps_begin=$SECONDS
steps_done=0

# steps_next TOTAL SECONDS TEXT...
steps_next() {
  local total=$1 expected=$2
  shift 2
  steps_done=$((steps_done + 1))
  printf '[%d/%d, %d:%02d gone] %s (about %d:%02d min)\n' "$steps_done" "$total" \
    $(((SECONDS - steps_begin) / 60)) $(((SECONDS - steps_begin) % 60)) "$*" $((expected / 60)) $((expected % 60))
}

# Seconds that the bootstrap should still take: its own figure when there is work, next to nothing else.
steps_bootstrap_seconds() {
  if [[ -f $("$1/bootstrap" --print-prefix)/stamps/complete ]]; then echo 1; else echo 300; fi
}
