"""The Tab key completes commands and flags."""

import subprocess

import pytest

from asr_unlearn.cli.main import main
from asr_unlearn.cli.parser import parser_of

LINES = {
    "unl": ["unlearn"],
    "unlearn --compute.p": ["--compute.precision"],
    "train --finetune.l": ["--finetune.lr"],
}


def test_bash_completes(capsys, tmp_path):
    # Writing the completion uses a parser up.
    parser_of.cache_clear()
    with pytest.raises(SystemExit) as ended:
        main(["--print_completion", "shtab-bash"])
    parser_of.cache_clear()
    assert ended.value.code == 0
    (tmp_path / "completion").write_text(capsys.readouterr().out)
    for line, expected in LINES.items():
        script = (
            f"source {tmp_path}/completion; COMP_WORDS=(asr-unlearn {line}); "
            f"COMP_CWORD={len(line.split())}; _shtab_asr_unlearn; "
            "printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
        assert done.stdout.split() == expected
