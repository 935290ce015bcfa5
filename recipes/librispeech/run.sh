#!/usr/bin/env bash
# From the data to the report; --help lists the flags and stages.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=$here/../../.venv/bin/python
[ -x "$python" ] || python=python3
exec "$python" -m asr_unlearn.cli.run_recipe "$here" "$@"
