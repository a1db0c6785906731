import pytest
import torch
from transformers import BertConfig, BertModel

from trainer.compression.first_token import first_states, needs_first_alone
from trainer.models.attention_heads import keep_heads


@pytest.fixture
def bert():
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
    return BertModel(BertConfig(vocab_size=50, max_position_embeddings=16, **sizes), add_pooling_layer=False).eval()


@pytest.mark.parametrize("heads", [[0, 1, 2, 3], [1, 2]])
def test_the_first_tokens_states_are_those_of_the_whole_model(bert, heads):
    for layer in bert.encoder.layer:
        keep_heads(layer, heads)
    ids = torch.randint(1, 50, (4, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.arange(9) < torch.tensor([9, 5, 2, 1])[:, None]
    types = (torch.arange(9) > 3).long().expand(4, 9)
    with torch.no_grad():
        whole = bert(ids, attention_mask=mask.long(), token_type_ids=types).last_hidden_state[:, 0]
        assert torch.allclose(first_states(bert, ids, mask, types), whole, atol=1e-5)


def test_it_is_for_bert_that_is_pooled_by_its_first_token(bert):
    assert needs_first_alone(bert, "first")
    assert not needs_first_alone(bert, "mean")
    assert not needs_first_alone(torch.nn.Linear(1, 1), "first")
