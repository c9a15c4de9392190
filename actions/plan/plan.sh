#!/usr/bin/env bash
# Writes for each job file what has changed since BASE: $OUT/<number>/{job,comment.md,status}, and at
# its end $OUT/count, how many there are.
# In: JOBS (one file or pattern a line), BASE (a git revision), OUT (a new folder), RUNPOD_DEPLOY.
# Ends with 0, or with 4 when a job cannot be planned.
set -euo pipefail

tool=${RUNPOD_DEPLOY:-runpod-deploy}
worst=0
number=0
mkdir -p -- "$OUT"

plan_one() {
  local job=$1 folder status=0
  number=$((number + 1))
  folder=$OUT/$(printf '%03d' "$number")
  mkdir -- "$folder"
  printf '%s' "$job" >"$folder/job"
  "$tool" plan --against "$BASE" --detailed-exitcode --format markdown -- "$job" \
    >"$folder/comment.md" || status=$?
  if [ "$status" = 4 ]; then
    # The base may be what cannot be planned: then the whole plan is shown.
    if "$tool" plan --format markdown -- "$job" >"$folder/comment.md" 2>"$folder/errors"; then
      status=2
    else
      printf '### A job file cannot be planned\n\nThe log of the check says where and why.\n' \
        >"$folder/comment.md"
    fi
    rm -f -- "$folder/errors"
  fi
  printf '%s' "$status" >"$folder/status"
  case $status in
    0 | 2) ;;
    *) worst=4 ;;
  esac
}

# Patterns are expanded by the shell, names with blanks stay whole, and a file that is gone is left out.
IFS=$'\n'
shopt -s nullglob
for pattern in $JOBS; do
  # shellcheck disable=SC2206 # the pattern is to be expanded here
  files=($pattern)
  for job in "${files[@]}"; do
    [ -f "$job" ] && plan_one "$job"
  done
done

printf '%s' "$number" >"$OUT/count"
# Which pull request, as a hint: who comments looks it up by the commit.
case ${GITHUB_REF:-} in
  refs/pull/*/merge) printf '%s' "${GITHUB_REF//[!0-9]/}" >"$OUT/number" ;;
esac
exit "$worst"
