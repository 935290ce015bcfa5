"""Low-rank adapters (LoRA, Hu et al., 2021) on a model: add, read, save and merge them.

They are those of peft, in the format that `peft.PeftModel.from_pretrained` reads. The model keeps
its class: layers are replaced in place.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from asr_unlearn.models.checks import ModelError, damaged
from asr_unlearn.runtime.documents import read_json
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.extras import need_extra
from asr_unlearn.runtime.io import digest_of
from asr_unlearn.runtime.text import names_in

# Where bitsandbytes is installed, it warns with every import of peft that it cannot download a
# kernel, which is not used here.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
# What peft puts before the names of the wrapped model's weights.
PREFIX = "base_model.model."
ALL_LINEAR = "all-linear"
# Layers that a family's attention does not call: it passes their weights to a function, and would
# pass on the base layer's without the adapters.
NOT_CALLED = {"wavlm": ("q_proj", "k_proj", "v_proj", "out_proj")}


@dataclass(frozen=True, kw_only=True)
class Lora:
    """The change of a layer's weight matrix by adapters: BA · alpha / r, with B = 0 at first.

    Attributes:
        r: rank of the change; 0 for no adapters.
        alpha: scale of the change; by default twice the rank.
        dropout: of the adapters' input in training.
        targets: names of the layers to change, or endings of names, with commas; all-linear for
            every linear layer but the output layer.
    """

    r: int = 0
    alpha: int | None = None
    dropout: float = 0.0
    targets: str = ALL_LINEAR

    def __post_init__(self) -> None:
        """Raises InputError for impossible values, and for options without a rank."""
        if self.r < 0 or (self.alpha is not None and self.alpha < 1):
            raise InputError(f"--lora: give a rank and an alpha of at least 1, not {self}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"--lora.dropout {self.dropout:g}: give a share from 0 to below 1")
        if not self.r and (self.alpha, self.dropout, self.targets) != (None, 0.0, ALL_LINEAR):
            raise InputError("--lora: give the rank of the adapters too, such as --lora.r 16")

    def __bool__(self) -> bool:
        return self.r > 0


NO_LORA = Lora()


def add_adapters(model: PreTrainedModel, lora: Lora, whole: Sequence[str] = ()) -> None:
    """Add adapters to a model; nothing but them and the layers in `whole` is trained afterwards.

    Their random half is drawn from torch's generator.

    Args:
        model: is changed in place.
        lora: kind of the adapters.
        whole: names of layers to train themselves, such as a new output layer.

    Raises:
        InputError: the model has adapters, is of a class that peft cannot adapt, has no layer of
            these names, or one that it does not call; or peft is not installed.
    """
    need_extra("lora", "--lora")
    from peft import LoraConfig, inject_adapter_in_model

    if has_adapters(model):
        raise InputError("the model has adapters already, which are trained: leave --lora out")
    not_called = NOT_CALLED.get(model.config.model_type, ())
    named = [name for name in names_in(lora.targets) if name.rpartition(".")[2] in not_called]
    if named:
        raise InputError(
            f"--lora.targets: {type(model).__name__} does not call {', '.join(named)}, but uses "
            "their weights, so that adapters would have no effect; leave them out"
        )
    targets = lora.targets if lora.targets == ALL_LINEAR else names_in(lora.targets)
    config = LoraConfig(
        r=lora.r,
        lora_alpha=2 * lora.r if lora.alpha is None else lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets,
        modules_to_save=list(whole) or None,
        exclude_modules=[*whole, *not_called] or None,
    )
    try:
        inject_adapter_in_model(config, model)
    except NotImplementedError as error:
        raise InputError(f"--lora: peft cannot adapt {type(model).__name__} ({error})") from error
    except ValueError as error:
        raise InputError(
            f"--lora.targets {lora.targets}: {type(model).__name__} has no such layers "
            f"({' '.join(str(error).split())})"
        ) from error


def has_adapters(model: nn.Module) -> bool:
    """Whether adapters were added to a model and not merged."""
    return bool(getattr(model, "peft_config", None))


def merge_adapters(model: nn.Module) -> None:
    """Add the adapters' change to the weights: the model is then as if it never had any.

    Its outputs stay the same up to rounding. A model without adapters is left as it is.
    """
    if not has_adapters(model):
        return
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils import ModulesToSaveWrapper

    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            _untie(model, module.get_base_layer())
            module.merge()
            model.set_submodule(name, module.get_base_layer())
        elif isinstance(module, ModulesToSaveWrapper):
            model.set_submodule(name, module.modules_to_save[module.active_adapters[0]])
    del model.peft_config


def _untie(model: nn.Module, layer: Any) -> None:
    """Give a layer weights of its own, if it has those of another, such as an embedding.

    What its adapters add is not added to the other.
    """
    everywhere = model.named_parameters(remove_duplicate=False)
    if sum(parameter is layer.weight for _, parameter in everywhere) > 1:
        trained = layer.weight.requires_grad
        layer.weight = nn.Parameter(layer.weight.detach().clone(), requires_grad=trained)
        config: Any = model.config
        config.tie_word_embeddings = False


def base_of(source: str | Path) -> str | None:
    """The name or folder of the model that the adapters in a folder are for; None without any.

    A folder that is not where adapter_config.json says is looked for where run.json says, which
    holds also if both were moved.

    Raises:
        InputError: the file does not name a base model.
    """
    path = Path(source) / CONFIG
    if not path.is_file():
        return None
    content = read_json(path)
    base = content.get("base_model_name_or_path") if isinstance(content, Mapping) else None
    if not isinstance(base, str) or not base:
        raise InputError(
            f"{path} names no base model: set base_model_name_or_path to its folder or name"
        )
    run = Path(source) / "run.json"
    if not Path(base).exists() and run.is_file():
        moved = (read_json(run).get("base") or {}).get("path")
        if moved and (Path(source) / moved).is_dir():
            return str((Path(source) / moved).resolve())
    return base


def settings_digest(folder: Path) -> str:
    """SHA-256 of what adapter_config.json says of the adapters, such as their scale.

    Without the path of the base, which differs where the folders were moved.
    """
    content = read_json(folder / CONFIG)
    return digest_of({k: v for k, v in content.items() if k != "base_model_name_or_path"})


def base_to_publish_on(model: PreTrainedModel, source: str) -> str:
    """The name, or the whole path, of the model that adapters to be published alone are on.

    Args:
        model: with the adapters.
        source: folder or name that it was loaded from: of the base, or of adapters on it.

    Raises:
        InputError: the model has no adapters.
    """
    if not has_adapters(model):
        raise InputError("--merge false publishes adapters alone: give --lora.r, or leave it out")
    base = base_of(source) or source
    return str(Path(base).resolve()) if Path(base).is_dir() else base


def read_adapters(model: PreTrainedModel, folder: Path) -> None:
    """Add the adapters in a folder to their base model; they alone are trained afterwards.

    Raises:
        ModelError: they are damaged, not those of LoRA, or for another model.
    """
    need_extra("lora", f"{folder}, which holds adapters,")
    from peft import PeftConfig, inject_adapter_in_model, set_peft_model_state_dict

    content = read_json(folder / CONFIG)
    if (kind := content.get("peft_type")) != "LORA":
        raise ModelError(f"{folder} holds adapters of the kind {kind}; those of LoRA are supported")
    try:
        weights = load_file(folder / WEIGHTS)
    except FileNotFoundError as error:
        raise ModelError(
            f"{folder} has no {WEIGHTS}: save the adapters again, as safetensors"
        ) from error
    except SafetensorError as error:
        raise ModelError(damaged(str(folder), error)) from error
    try:
        config = PeftConfig.from_peft_type(**{**content, "inference_mode": False})
        inject_adapter_in_model(config, model)
        found: Any = set_peft_model_state_dict(model, _without_prefix(weights))
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"the adapters of {folder} do not fit {base_of(folder)}: {why}") from error
    lacking = [name for name, p in model.named_parameters() if p.requires_grad]
    lacking = sorted(set(lacking) & set(found.missing_keys))
    if lacking or found.unexpected_keys:
        named = ", ".join([*lacking, *found.unexpected_keys][:3])
        raise ModelError(
            f"the adapters of {folder} do not fit {base_of(folder)}: {named} … on one side only"
        )


def _without_prefix(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(PREFIX): tensor for name, tensor in weights.items()}


def save_adapters(model: PreTrainedModel, folder: Path, base: str) -> None:
    """Write the adapters, without the model that they are on.

    Args:
        model: with adapters.
        folder: to write to.
        base: name or folder of the model that they were added to.
    """
    from peft import get_peft_model_state_dict

    folder.mkdir(parents=True, exist_ok=True)
    weights = get_peft_model_state_dict(model, save_embedding_layers=False)
    named = {f"{PREFIX}{name}": tensor.contiguous() for name, tensor in weights.items()}
    save_file(named, folder / WEIGHTS, metadata={"format": "pt"})
    config: Any = model.peft_config["default"]
    content = {**config.to_dict(), "base_model_name_or_path": base, "inference_mode": True}
    text = json.dumps(content, indent=2, sort_keys=True, default=_plain)
    (folder / CONFIG).write_text(text + "\n", encoding="utf-8")


def _plain(value: object) -> Any:
    """Sets and enumerations as JSON has them."""
    return sorted(value) if isinstance(value, set) else str(getattr(value, "value", value))
