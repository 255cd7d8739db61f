"""New nets know where their patches lie; nets of earlier trainings keep what they know."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from emotion_llama.train.pretrain.nets import make_net, position_table
from emotion_llama.train.pretrain.settings import PretrainSettings

Make = Callable[..., PretrainSettings]


def test_positions_are_sines_and_cosines_of_column_and_row() -> None:
    table = position_table(3, 8)[0].numpy()
    assert table.shape == (10, 8) and (table[0] == 0).all()
    row, column = 2, 1
    expected = [wave(place * f) for place in (column, row) for wave in (np.sin, np.cos) for f in (1.0, 0.01)]
    assert np.abs(table[1 + row * 3 + column] - expected).max() < 1e-6


def test_a_new_face_net_has_fixed_positions_in_encoder_and_decoder(settings: Make) -> None:
    net, _ = make_net(settings())
    for table, width in ((net.vit.embeddings.position_embeddings, 16), (net.decoder.decoder_pos_embed, 8)):
        assert torch.equal(table.detach(), position_table(4, width)) and not table.requires_grad


@pytest.mark.parametrize("kind", ["face-mae", "face-videomae"])
def test_what_is_predicted_depends_on_the_place(kind: str, settings: Make) -> None:
    net, _ = make_net(settings(kind))
    with torch.no_grad():
        if kind == "face-mae":
            output = net.eval()(torch.zeros(1, 3, 16, 16), noise=torch.arange(16.0)[None])
            predicted = output.logits[output.mask.bool()]
        else:
            hidden = torch.ones(1, 32, dtype=torch.bool)
            hidden[:, :4] = False
            predicted = net.eval()(torch.zeros(1, 4, 3, 16, 16), bool_masked_pos=hidden).logits[0]
    assert predicted.std(dim=0).min() > 1e-6


def test_the_seed_draws_the_first_weights(settings: Make) -> None:
    one, again, other = (make_net(settings(seed=seed))[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["vit.layers.0.mlp.fc1.weight"], other["vit.layers.0.mlp.fc1.weight"])
