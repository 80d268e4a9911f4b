"""`LoadedBase`: a base model in memory, with the word rows, encoding and predicting that every part needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tiregistry.bases import denoisers
from tiregistry.bases.denoisers import Conditioning
from tiregistry.bases.families import FLOW_FAMILIES, T5_TOKENS, native_resolution
from tiregistry.bases.towers import Encoded, TextTower
from tiregistry.concepts import BaseModel, Family
from tiregistry.embeddings.embedding import Embedding
from tiregistry.errors import WrongBaseModel
from tiregistry.text import safe


@dataclass
class LoadedBase:
    """A frozen base model ready for training and generation.

    Attributes:
        identity: name, source and fingerprint.
        towers: text encoders in the pipeline's order.
        denoiser: `UNet2DConditionModel`, `SD3Transformer2DModel` or `FluxTransformer2DModel`.
        vae: `AutoencoderKL`.
        scheduler: the scheduler the model ships with.
        device, dtype: where and in which precision the frozen parts live.
        notes: what a user should know about this model on this device.
    """

    identity: BaseModel
    towers: list[TextTower]
    denoiser: Any
    vae: Any
    scheduler: Any
    device: torch.device
    dtype: torch.dtype
    notes: tuple[str, ...] = ()

    @property
    def family(self) -> Family:
        return self.identity.family

    @property
    def is_flow(self) -> bool:
        """Whether the denoiser predicts the velocity of a straight flow (SD3, FLUX) instead of diffusion noise."""
        return self.family in FLOW_FAMILIES

    @property
    def resolution(self) -> int:
        """Native picture size in pixels."""
        return native_resolution(getattr(self.denoiser.config, "sample_size", None), self.vae_factor, self.family)

    @property
    def vae_factor(self) -> int:
        """Pixels per latent cell along one side."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def latent_channels(self) -> int:
        """Channels of the latents."""
        return int(self.vae.config.latent_channels)

    @property
    def prediction_type(self) -> str:
        """`epsilon`, `v_prediction`, or `flow`."""
        return "flow" if self.is_flow else str(self.scheduler.config.prediction_type)

    def vocabulary(self) -> frozenset[str]:
        """Every token string of the first tokenizer."""
        return frozenset(self.towers[0].tokenizer.get_vocab())

    @contextmanager
    def using_rows(self, rows: Mapping[str, torch.Tensor]) -> Iterator[None]:
        """Within the block, ids past each vocabulary mean `rows[role]` (`[n, dim]`)."""
        try:
            for tower in self.towers:
                tower.words.rows = rows[tower.role]
            yield
        finally:
            for tower in self.towers:
                tower.words.rows = None

    def place_words(
        self, embeddings: Sequence[Embedding], names: Sequence[str] = ()
    ) -> tuple[dict[str, torch.Tensor], list[dict[str, range]]]:
        """Lay words out in one table of extra rows.

        Args:
            embeddings: the words' vectors.
            names: what messages call them, in the same order.

        Returns:
            rows per encoder role (float32 `[sum of num_vectors, dim]` on the device), and for each embedding the
            token ids of its vectors per encoder role.

        Raises:
            WrongBaseModel: an embedding lacks an encoder of this base, or has another width.
        """
        rows: dict[str, list[torch.Tensor]] = {tower.role: [] for tower in self.towers}
        places: list[dict[str, range]] = []
        for index, embedding in enumerate(embeddings):
            place: dict[str, range] = {}
            for tower in self.towers:
                array = embedding.tensors.get(tower.role)
                if array is None or array.shape[1] != tower.dim:
                    found = "no vectors" if array is None else f"vectors of width {array.shape[1]}"
                    word = safe(names[index], limit=100) if index < len(names) else "a word"
                    raise WrongBaseModel(
                        f"{word} has {found} for {tower.role}, this base model needs vectors of width {tower.dim}",
                        "it belongs to another base model: tireg show says which may fit, --base chooses one",
                    )
                start = tower.words.first_id + sum(len(r) for r in rows[tower.role])
                place[tower.role] = range(start, start + len(array))
                rows[tower.role].append(torch.from_numpy(np.array(array)))
            places.append(place)
        device = self.device
        return {role: torch.cat(parts).to(device) for role, parts in rows.items() if parts}, places

    def encode(self, ids: Mapping[str, torch.Tensor]) -> Conditioning:
        """Run the text encoders.

        Args:
            ids: encoder role to token ids `[b, window]` (long, any device).
        """
        return self.join({tower.role: tower.encode(ids[tower.role].to(tower.device)) for tower in self.towers})

    def reads_pooled(self, tower: TextTower) -> bool:
        """Whether `join` reads an encoder's pooled state."""
        readers = {"sdxl": (1,), "sd3": (0, 1), "flux": (0,)}.get(self.family, ())
        return self.towers.index(tower) in readers

    def join(self, encoded: Mapping[str, Encoded]) -> Conditioning:
        """What the denoiser is told, from what each encoder said.

        SD1 and SD2: the final hidden states. SDXL: the second-to-last hidden states of both encoders joined along the
        width, and the second encoder's pooled projection (Podell et al. 2023, section 2.1). SD3: both CLIP encoders
        joined along the width, filled up with zeros to T5's width, then T5's states behind them along the tokens
        (zeros where the model has no T5), and both pooled projections joined (Esser et al. 2024, section 4). FLUX: T5's
        states, and CLIP's pooled state.
        """
        parts = [encoded[tower.role].to(self.device) for tower in self.towers]
        if self.family == "flux":
            return Conditioning(parts[1].states, parts[0].pooled)
        if self.family == "sdxl":
            return Conditioning(torch.cat([part.states for part in parts], dim=-1), parts[1].pooled)
        if self.family != "sd3":
            return Conditioning(parts[0].states)
        clip = torch.cat([part.states for part in parts[:2]], dim=-1)
        width = int(self.denoiser.config.joint_attention_dim)
        clip = torch.nn.functional.pad(clip, (0, width - clip.shape[-1]))
        pooled = torch.cat([part.pooled for part in parts[:2] if part.pooled is not None], dim=-1)
        third = parts[2].states if len(parts) > 2 else clip.new_zeros(len(clip), T5_TOKENS["sd3"], width)
        return Conditioning(torch.cat([clip, third], dim=1), pooled)

    def predict(
        self,
        noised: torch.Tensor,
        timesteps: torch.Tensor,
        told: Conditioning,
        *,
        denoiser: Any = None,
        guidance: float = denoisers.TRAINING_GUIDANCE,
    ) -> torch.Tensor:
        """The denoiser's prediction `[b, c, h, w]` (noise or velocity, see `prediction_type`).

        Args:
            noised: latents `[b, c, h, w]` in the denoiser's type.
            timesteps: `[b]`, 0 to 1000; whole numbers for the diffusion families.
            denoiser: a wrapped (compiled) form of the own one.
            guidance: what a guidance-distilled FLUX is told; no other model reads it.
        """
        denoiser = self.denoiser if denoiser is None else denoiser  # a compiled module has no truth value
        if self.family == "flux":
            return denoisers.predict_with_flux(denoiser, noised, timesteps, told, guidance)
        if self.family == "sd3":
            return denoisers.predict_with_sd3(denoiser, noised, timesteps, told)
        if self.family == "sdxl":
            return denoisers.predict_with_xl_unet(denoiser, noised, timesteps, told, self.vae_factor)
        return denoisers.predict_with_unet(denoiser, noised, timesteps, told)
