"""Encoders as they are out there, in plain torch, with the tensor names of the packages that write
their checkpoints: ViT and DeiT of Hugging Face's transformers and of timm; BERT, DistilBERT and
ALBERT of Hugging Face.

Written from the papers and from what the checkpoints hold; shares nothing with weights/export.
`random(model)` gives weights that are far from those of a fresh layer.
"""
import json
import struct
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional


def attend(q, k, v, heads, mask=None):
    """[B,N,dim] each -> [B,N,dim]; mask [B,N]: 1 where a token is."""
    q, k, v = (part.unflatten(2, (heads, -1)).transpose(1, 2) for part in (q, k, v))
    scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(mask[:, None, None] == 0, -1e30)
    return (scores.softmax(3) @ v).transpose(1, 2).flatten(2)


def module(**parts):
    """A module that is nothing but its parts."""
    out = nn.Module()
    for name, part in parts.items():
        if isinstance(part, nn.Parameter):
            out.register_parameter(name, part)
        else:
            out.add_module(name, part)
    return out


def parameter(*shape):
    return nn.Parameter(torch.zeros(*shape))


def random(model, seed=7):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.named_parameters():
            noise = torch.randn(value.shape, generator=generator)
            if value.ndim > 1 and not any(
                    word in name for word in ("token", "pos", "embeddings")):
                value.copy_(noise * 1.2 / value[0].numel() ** 0.5)
            elif value.ndim == 1 and name.endswith(("weight", "gamma")):
                value.copy_(1 + 0.3 * noise)
            else:
                value.copy_(0.3 * noise)
    return model.eval()


class HuggingVit(nn.Module):
    """ViTForImageClassification; with `tokens` 2 DeiTForImageClassificationWithTeacher, with
    `teacher` False DeiTForImageClassification."""

    def __init__(self, size, patch, dim, depth, heads, mlp, classes, eps=1e-12, act="gelu",
                 qkv_bias=True, deit=False, teacher=True, channels=3):
        super().__init__()
        self.heads, self.tokens, self.teacher = heads, 1 + deit, teacher
        self.act = {"gelu": "none", "gelu_new": "tanh"}[act]
        rows, columns = size[0] // patch, size[1] // patch
        embeddings = module(cls_token=parameter(1, 1, dim),
                            position_embeddings=parameter(1, rows * columns + 1 + deit, dim),
                            patch_embeddings=module(projection=nn.Conv2d(channels, dim, patch,
                                                                         patch)))
        if deit:
            embeddings.register_parameter("distillation_token", parameter(1, 1, dim))

        def layer():
            return module(
                attention=module(
                    attention=module(**{name: nn.Linear(dim, dim, bias=qkv_bias)
                                        for name in ("query", "key", "value")}),
                    output=module(dense=nn.Linear(dim, dim))),
                intermediate=module(dense=nn.Linear(dim, mlp)),
                output=module(dense=nn.Linear(mlp, dim)),
                layernorm_before=nn.LayerNorm(dim, eps), layernorm_after=nn.LayerNorm(dim, eps))

        self.base = "deit" if deit else "vit"
        self.add_module(self.base, module(
            embeddings=embeddings, layernorm=nn.LayerNorm(dim, eps),
            encoder=module(layer=nn.ModuleList(layer() for _ in range(depth)))))
        for name in (("cls_classifier", "distillation_classifier") if deit and teacher
                     else ("classifier",)):
            self.add_module(name, nn.Linear(dim, classes))
        self.config = {"model_type": self.base, "hidden_size": dim, "num_hidden_layers": depth,
                       "num_attention_heads": heads, "intermediate_size": mlp,
                       "hidden_act": act, "layer_norm_eps": eps, "image_size": size[0]
                       if size[0] == size[1] else list(size), "patch_size": patch,
                       "num_channels": channels, "qkv_bias": qkv_bias,
                       "id2label": {str(i): f"thing {i}" for i in range(classes)}}

    def forward(self, image):
        model = getattr(self, self.base)
        parts = model.embeddings
        x = parts.patch_embeddings.projection(image).flatten(2).transpose(1, 2)
        first = [parts.cls_token] + ([parts.distillation_token] if self.tokens == 2 else [])
        x = torch.cat([token.expand(len(x), 1, -1) for token in first] + [x], 1)
        x = x + parts.position_embeddings
        for layer in model.encoder.layer:
            normed = layer.layernorm_before(x)
            inner = layer.attention.attention
            x = x + layer.attention.output.dense(attend(inner.query(normed), inner.key(normed),
                                                        inner.value(normed), self.heads))
            hidden = functional.gelu(layer.intermediate.dense(layer.layernorm_after(x)),
                                     approximate=self.act)
            x = x + layer.output.dense(hidden)
        x = model.layernorm(x)
        if self.tokens == 2 and self.teacher:
            return (self.cls_classifier(x[:, 0]) + self.distillation_classifier(x[:, 1])) / 2
        return self.classifier(x[:, 0])


class TimmVit(nn.Module):
    """timm's VisionTransformer: `scale` layer scale, `distilled` DeiT's second token and head,
    `hidden` the layer before the head, `class_position` whether the class token has a position,
    `act` what timm calls act_layer."""

    def __init__(self, size, patch, dim, depth, heads, mlp, classes, scale=False, distilled=False,
                 hidden=0, class_position=True, channels=3, name="vit_tiny_patch16_224",
                 act="gelu"):
        super().__init__()
        self.act = {"gelu": "none", "gelu_tanh": "tanh"}[act]
        self.heads, self.distilled, self.class_position = heads, distilled, class_position
        count = size[0] // patch * (size[1] // patch)
        first = 1 + distilled
        self.cls_token = parameter(1, 1, dim)
        if distilled:
            self.dist_token = parameter(1, 1, dim)
        self.pos_embed = parameter(1, count + first * class_position, dim)
        self.patch_embed = module(proj=nn.Conv2d(channels, dim, patch, patch))

        def block():
            out = module(norm1=nn.LayerNorm(dim, 1e-6), norm2=nn.LayerNorm(dim, 1e-6),
                         attn=module(qkv=nn.Linear(dim, 3 * dim), proj=nn.Linear(dim, dim)),
                         mlp=module(fc1=nn.Linear(dim, mlp), fc2=nn.Linear(mlp, dim)))
            if scale:
                out.add_module("ls1", module(gamma=parameter(dim)))
                out.add_module("ls2", module(gamma=parameter(dim)))
            return out

        self.blocks = nn.ModuleList(block() for _ in range(depth))
        self.norm = nn.LayerNorm(dim, 1e-6)
        if hidden:
            self.pre_logits = module(fc=nn.Linear(dim, hidden))
        self.head = nn.Linear(hidden or dim, classes)
        if distilled:
            self.head_dist = nn.Linear(dim, classes)
        self.config = {"architecture": name, "num_classes": classes, "global_pool": "token",
                       "pretrained_cfg": {"input_size": [channels, *size], "mean": [0.4] * channels,
                                          "std": [0.3] * channels}}
        if dim != 64 * heads:
            self.config["model_args"] = {"num_heads": heads}
        if act != "gelu":
            self.config.setdefault("model_args", {})["act_layer"] = act

    def forward(self, image):
        x = self.patch_embed.proj(image).flatten(2).transpose(1, 2)
        if not self.class_position:
            x = x + self.pos_embed
        first = [self.cls_token] + ([self.dist_token] if self.distilled else [])
        x = torch.cat([token.expand(len(x), 1, -1) for token in first] + [x], 1)
        if self.class_position:
            x = x + self.pos_embed
        for block in self.blocks:
            y = block.attn.proj(attend(*block.attn.qkv(block.norm1(x)).chunk(3, 2), self.heads))
            x = x + (block.ls1.gamma * y if hasattr(block, "ls1") else y)
            y = block.mlp.fc2(functional.gelu(block.mlp.fc1(block.norm2(x)),
                                              approximate=self.act))
            x = x + (block.ls2.gamma * y if hasattr(block, "ls2") else y)
        x = self.norm(x)
        if self.distilled:
            return (self.head(x[:, 0]) + self.head_dist(x[:, 1])) / 2
        x = x[:, 0]
        return self.head(self.pre_logits.fc(x).tanh() if hasattr(self, "pre_logits") else x)


class Texts(nn.Module):
    """What BERT, DistilBERT and ALBERT share: tokens [B,T] and lengths [B] -> logits."""

    @staticmethod
    def mask(tokens, lengths):
        return torch.arange(tokens.shape[1])[None] < lengths[:, None]


class Bert(Texts):
    """BertForSequenceClassification."""

    def __init__(self, vocabulary, tokens, dim, depth, heads, mlp, classes, act="gelu"):
        super().__init__()
        self.heads, self.act = heads, {"gelu": "none", "gelu_new": "tanh"}[act]

        def layer():
            return module(
                attention=module(
                    self=module(**{name: nn.Linear(dim, dim) for name in ("query", "key",
                                                                          "value")}),
                    output=module(dense=nn.Linear(dim, dim), LayerNorm=nn.LayerNorm(dim, 1e-12))),
                intermediate=module(dense=nn.Linear(dim, mlp)),
                output=module(dense=nn.Linear(mlp, dim), LayerNorm=nn.LayerNorm(dim, 1e-12)))

        self.bert = module(
            embeddings=module(word_embeddings=nn.Embedding(vocabulary, dim),
                              position_embeddings=nn.Embedding(tokens, dim),
                              token_type_embeddings=nn.Embedding(2, dim),
                              LayerNorm=nn.LayerNorm(dim, 1e-12)),
            encoder=module(layer=nn.ModuleList(layer() for _ in range(depth))),
            pooler=module(dense=nn.Linear(dim, dim)))
        self.classifier = nn.Linear(dim, classes)
        self.config = {"model_type": "bert", "hidden_size": dim, "num_hidden_layers": depth,
                       "num_attention_heads": heads, "intermediate_size": mlp, "hidden_act": act,
                       "layer_norm_eps": 1e-12, "max_position_embeddings": tokens,
                       "vocab_size": vocabulary, "type_vocab_size": 2}

    def forward(self, tokens, lengths):
        mask, parts = self.mask(tokens, lengths), self.bert.embeddings
        x = parts.LayerNorm(parts.word_embeddings(tokens)
                            + parts.position_embeddings.weight[:tokens.shape[1]]
                            + parts.token_type_embeddings.weight[0])
        for layer in self.bert.encoder.layer:
            inner = getattr(layer.attention, "self")
            y = attend(inner.query(x), inner.key(x), inner.value(x), self.heads, mask)
            x = layer.attention.output.LayerNorm(x + layer.attention.output.dense(y))
            y = functional.gelu(layer.intermediate.dense(x), approximate=self.act)
            x = layer.output.LayerNorm(x + layer.output.dense(y))
        return self.classifier(self.bert.pooler.dense(x[:, 0]).tanh())


class DistilBert(Texts):
    """DistilBertForSequenceClassification."""

    def __init__(self, vocabulary, tokens, dim, depth, heads, mlp, classes):
        super().__init__()
        self.heads = heads

        def layer():
            return module(attention=module(**{name: nn.Linear(dim, dim) for name in (
                              "q_lin", "k_lin", "v_lin", "out_lin")}),
                          sa_layer_norm=nn.LayerNorm(dim, 1e-12),
                          ffn=module(lin1=nn.Linear(dim, mlp), lin2=nn.Linear(mlp, dim)),
                          output_layer_norm=nn.LayerNorm(dim, 1e-12))

        self.distilbert = module(
            embeddings=module(word_embeddings=nn.Embedding(vocabulary, dim),
                              position_embeddings=nn.Embedding(tokens, dim),
                              LayerNorm=nn.LayerNorm(dim, 1e-12)),
            transformer=module(layer=nn.ModuleList(layer() for _ in range(depth))))
        self.pre_classifier = nn.Linear(dim, dim)
        self.classifier = nn.Linear(dim, classes)
        self.config = {"model_type": "distilbert", "dim": dim, "n_layers": depth, "n_heads": heads,
                       "hidden_dim": mlp, "activation": "gelu", "vocab_size": vocabulary,
                       "max_position_embeddings": tokens}

    def forward(self, tokens, lengths):
        mask, parts = self.mask(tokens, lengths), self.distilbert.embeddings
        x = parts.LayerNorm(parts.word_embeddings(tokens)
                            + parts.position_embeddings.weight[:tokens.shape[1]])
        for layer in self.distilbert.transformer.layer:
            inner = layer.attention
            y = attend(inner.q_lin(x), inner.k_lin(x), inner.v_lin(x), self.heads, mask)
            x = layer.sa_layer_norm(x + inner.out_lin(y))
            x = layer.output_layer_norm(x + layer.ffn.lin2(functional.gelu(layer.ffn.lin1(x))))
        return self.classifier(functional.relu(self.pre_classifier(x[:, 0])))


class Albert(Texts):
    """AlbertForSequenceClassification."""

    def __init__(self, vocabulary, tokens, width, dim, depth, heads, mlp, classes, groups=1):
        super().__init__()
        self.heads, self.depth = heads, depth

        def layer():
            return module(full_layer_layer_norm=nn.LayerNorm(dim, 1e-12),
                          attention=module(**{name: nn.Linear(dim, dim) for name in (
                              "query", "key", "value", "dense")},
                              LayerNorm=nn.LayerNorm(dim, 1e-12)),
                          ffn=nn.Linear(dim, mlp), ffn_output=nn.Linear(mlp, dim))

        self.albert = module(
            embeddings=module(word_embeddings=nn.Embedding(vocabulary, width),
                              position_embeddings=nn.Embedding(tokens, width),
                              token_type_embeddings=nn.Embedding(2, width),
                              LayerNorm=nn.LayerNorm(width, 1e-12)),
            encoder=module(
                embedding_hidden_mapping_in=nn.Linear(width, dim),
                albert_layer_groups=nn.ModuleList(
                    module(albert_layers=nn.ModuleList([layer()])) for _ in range(groups))),
            pooler=nn.Linear(dim, dim))
        self.classifier = nn.Linear(dim, classes)
        self.config = {"model_type": "albert", "embedding_size": width, "hidden_size": dim,
                       "num_hidden_layers": depth, "num_hidden_groups": groups,
                       "inner_group_num": 1, "num_attention_heads": heads,
                       "intermediate_size": mlp, "hidden_act": "gelu_new", "layer_norm_eps": 1e-12,
                       "vocab_size": vocabulary, "max_position_embeddings": tokens}

    def forward(self, tokens, lengths):
        mask, parts = self.mask(tokens, lengths), self.albert.embeddings
        x = parts.LayerNorm(parts.word_embeddings(tokens)
                            + parts.position_embeddings.weight[:tokens.shape[1]]
                            + parts.token_type_embeddings.weight[0])
        x = self.albert.encoder.embedding_hidden_mapping_in(x)
        groups = self.albert.encoder.albert_layer_groups
        for i in range(self.depth):
            layer = groups[i * len(groups) // self.depth].albert_layers[0]
            inner = layer.attention
            y = attend(inner.query(x), inner.key(x), inner.value(x), self.heads, mask)
            x = inner.LayerNorm(x + inner.dense(y))
            y = layer.ffn_output(functional.gelu(layer.ffn(x), approximate="tanh"))
            x = layer.full_layer_layer_norm(x + y)
        return self.classifier(self.albert.pooler(x[:, 0]).tanh())


DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}


def write_safetensors(path, tensors):
    """A safetensors file, as other programs write it: no padding, no order."""
    header, data, end = {"__metadata__": {"format": "pt"}}, [], 0
    for name, value in tensors.items():
        raw = value.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        header[name] = {"dtype": DTYPES[value.dtype], "shape": list(value.shape),
                        "data_offsets": [end, end + len(raw)]}
        data.append(raw)
        end += len(raw)
    text = json.dumps(header).encode()
    Path(path).write_bytes(b"".join([struct.pack("<Q", len(text)), text, *data]))


def write(folder, model, parts=1, change=None, **files):
    """A hub's folder of a model: config.json and model.safetensors, in `parts` with an index.
    change: name -> tensor in place of the model's, None: without it; files: more JSON files."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "config.json").write_text(json.dumps(model.config))
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    tensors = {**model.state_dict(), **(change or {})}
    tensors = {name: value for name, value in tensors.items() if value is not None}
    if parts == 1:
        write_safetensors(folder / "model.safetensors", tensors)
        return folder
    names, places = sorted(tensors), {}
    for part in range(parts):
        file = f"model-{part + 1:05}-of-{parts:05}.safetensors"
        mine = names[part::parts]
        write_safetensors(folder / file, {name: tensors[name] for name in mine})
        places.update(dict.fromkeys(mine, file))
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": 0}, "weight_map": places}))
    return folder
