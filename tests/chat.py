"""Chat templates in the manner of the families they are named after, for tokenizers made by tests."""

from __future__ import annotations

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""The marks alone."""

SMOLLM = "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nThis is SmolLM.<|im_end|>\n{% endif %}" + CHATML
"""With a system turn where none is given."""

THINKING = (
    CHATML.removesuffix("{% endif %}")
    + "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
"""A model that thinks aloud unless it is told not to."""

DATED = (
    "{{ bos_token }}<|start_header_id|>system<|end_header_id|>\n\n"
    "Today Date: {{ date_string or strftime_now('%d %b %Y') }}<|eot_id|>{% for m in messages %}"
    "<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n{{ m['content'] }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
"""One that says what day it is."""

BRACKETS = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }}[/INST]"
    "{% else %} {{ m['content'] }}</s>{% endif %}{% endfor %}"
)
"""Turns in brackets, without a system turn."""

LLAMA_2 = "{{ '<s>[INST] <<SYS>>' }}"
FAILING = "{{ raise_exception('no turns') }}"
MUTE = "{% for m in messages %}<|im_start|>{{ m['role'] }}<|im_end|>{% endfor %}"
ENDLESS = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
