"""`EditableModel`: a causal language model whose edited tensors are held exactly."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kedit_lifecycle.errors import ModelError
from kedit_lifecycle.models.architectures import Architecture, architecture_of
from kedit_lifecycle.models.delta import TensorUpdate, delta_norm, replay
from kedit_lifecycle.models.fingerprints import model_digest, tensor_fingerprint
from kedit_lifecycle.models.room import device_with_room
from kedit_lifecycle.models.tokens import pad_id_of


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Of one tensor: the float32 master, and the copy in the model's dtype that answers."""

    master: str
    served: str


@dataclass(frozen=True, slots=True)
class AppliedUpdate:
    """An update as it went in: fingerprints on both sides, and ‖ΔW‖ in the Frobenius norm."""

    update: TensorUpdate
    before: Fingerprints
    after: Fingerprints
    norm: float


class EditableModel:
    """A model with its base tensors set aside and its edited ones kept as float32 masters on the CPU.

    The base parameters are never written to: an edited parameter is a new tensor in the base's
    place, cast from its master as the last step.
    """

    def __init__(self, network: Any, tokenizer: Any, *, name: str, source: str) -> None:
        self.network = network.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name = name
        self.source = source
        self.architecture: Architecture = architecture_of(network.config)
        self.base_digest = model_digest(network)
        self.pad_id = pad_id_of(tokenizer)
        self._names = frozenset(name for name, _ in self.network.named_parameters())  # tied ones once
        self._base: dict[str, Tensor] = {}  # base tensors of the parameters edited now
        self._masters: dict[str, Tensor] = {}

    @property
    def device(self) -> torch.device:
        """Where the model answers."""
        device: torch.device = self.network.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """The model's own dtype."""
        dtype: torch.dtype = self.network.dtype
        return dtype

    @property
    def layer_count(self) -> int:
        """Number of decoder layers."""
        return len(self.architecture.layer_modules(self.network))

    def hidden_states(self, input_ids: Tensor, attention_mask: Tensor, **kwargs: Any) -> Any:
        """The backbone's output; `.last_hidden_state` is final-normed, (batch, positions, d_model)."""
        kwargs.setdefault("use_cache", False)
        backbone = self.network.get_submodule(self.architecture.backbone)
        return backbone(input_ids=input_ids, attention_mask=attention_mask, return_dict=True, **kwargs)

    def logits(self, hidden: Tensor) -> Tensor:
        """The LM head on final-normed hidden states: (…, d_model) -> (…, vocabulary), float32."""
        return self.architecture.logits(self.network, hidden)

    def parameter(self, tensor: str) -> Tensor:
        """The parameter as it answers now.

        Raises:
            ModelError: if the model has no parameter of this name, or it is another's alias.
        """
        try:
            parameter: Tensor = self.network.get_parameter(tensor)
        except AttributeError as error:
            raise ModelError(f"the model has no parameter {tensor!r}") from error
        if tensor not in self._names:
            own = next(name for name, other in self.network.named_parameters() if other is parameter)
            raise ModelError(f"{tensor!r} is tied to {own!r}: edit it under that name")
        return parameter

    def base_parameter(self, tensor: str) -> Tensor:
        """The parameter as it was before any edit."""
        return self._base[tensor] if tensor in self._base else self.parameter(tensor).detach()

    def master(self, tensor: str) -> Tensor:
        """The float32 master on the CPU (not to be written to); of an unedited tensor, its base's."""
        if tensor in self._masters:
            return self._masters[tensor]
        return self.parameter(tensor).detach().to("cpu", torch.float32, copy=True)

    def fingerprints(self, tensor: str) -> Fingerprints:
        """Fingerprints of the tensor as it is now."""
        return Fingerprints(
            tensor_fingerprint(self.master(tensor)), tensor_fingerprint(self.parameter(tensor))
        )

    @property
    def masters(self) -> Mapping[str, Tensor]:
        """The masters of all tensors that are edited now."""
        return dict(self._masters)

    def replayed(self, master: Tensor, update: TensorUpdate) -> Tensor:
        """`replay`, on the model's own device where that has room."""
        return replay(master, update, device_with_room(self.device, 2 * master.nbytes))

    def apply(self, updates: Sequence[TensorUpdate]) -> list[AppliedUpdate]:
        """Replay updates in order; all of them or, on an error, none."""
        saved = self.masters
        try:
            return [self._apply_one(update) for update in updates]
        except BaseException:
            self.restore(saved)
            raise

    def try_out(self, updates: Sequence[TensorUpdate]) -> None:
        """Replay updates that are not to stay, in a `trial`: nothing is said of what they changed."""
        for update in updates:
            self._install(update.tensor, self.replayed(self.master(update.tensor), update))

    def _apply_one(self, update: TensorUpdate) -> AppliedUpdate:
        master = self.master(update.tensor)
        before = self.fingerprints(update.tensor)
        changed = self.replayed(master, update)
        self._install(update.tensor, changed)
        return AppliedUpdate(update, before, self.fingerprints(update.tensor), delta_norm(master, changed))

    def _install(self, tensor: str, master: Tensor) -> None:
        parameter = self.parameter(tensor)
        self._base.setdefault(tensor, parameter.data)
        served = master.to(parameter.dtype).to(parameter.device)
        self._masters[tensor] = master  # before the parameter: `restore` undoes what is named here
        parameter.data = served.clone() if served.data_ptr() == master.data_ptr() else served

    def restore(self, masters: Mapping[str, Tensor]) -> None:
        """Make exactly these tensors edited, with these masters; every other tensor is the base's again."""
        for tensor in [name for name in self._masters if name not in masters]:
            self.parameter(tensor).data = self._base[tensor]
            del self._masters[tensor], self._base[tensor]
        for tensor, master in masters.items():
            if self._masters.get(tensor) is not master:
                self._install(tensor, master)

    @contextlib.contextmanager
    def trial(self) -> Iterator[None]:
        """Whatever is applied inside is taken back at the end, bit for bit."""
        saved = self.masters
        try:
            yield
        finally:
            self.restore(saved)

    @contextlib.contextmanager
    def unedited(self) -> Iterator[None]:
        """The base model answers inside."""
        with self.trial():
            self.restore({})
            yield
