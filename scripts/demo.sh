#!/usr/bin/env bash
# Sets up, reads the documents of corpus/ and asks a question about them.
set -euo pipefail
"$(dirname "$0")/setup.sh"
source "$(dirname "$0")/setup.sh"

data=$cache/demo
question="Who approves travel expenses?"

ingest() {
    # Exit code 3 means that some files could not be read; the report names them and the rest can be asked about.
    "$sidenote" ingest --data "$data" "$root/corpus" || [ $? -eq 3 ]
}

step "sidenote ingest corpus" ingest
echo "==> sidenote ask \"$question\""
"$sidenote" ask --data "$data" "$question"
printf '\nAsk on: %s ask --data %s "..."\n' "$sidenote" "$data"
