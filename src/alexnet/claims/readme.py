"""The README of one judged claim: what was asked, what was found, how to make it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alexnet.report.claims import found_words

_FILES = {
    "claim.json": "bands, arms with all their settings, numbers of every run, verdicts, environment",
    "figure.png": "error over the run for each arm; each comparison's numbers, interval and band",
    "figure.svg": "the same",
}


def readme(document: Mapping[str, Any]) -> str:
    """Markdown of what `claim.json` holds."""
    rows = "\n".join(
        f"| {each['words']}{'' if each['decides'] else ' (beside)'} | {each['band_words']} | "
        f"{each['paper'] or '-'} | {found_words(each)} | {each['over']} | {each['verdict']} | "
        f"{each['reason'] or '-'} |"
        for each in document["comparisons"]
    )
    remarks = "".join(f"- {remark}\n" for remark in document["remarks"])
    files = "\n".join(f"| `{name}` | {what} |" for name, what in _FILES.items())
    data, photos, lines = document["data"], document["data"]["photos"], "\n".join(document["commands"])
    used, kind = _used(document["arms"]), _kind(document["arms"])
    return f"""# {document["id"]}

{document["statement"]}

Source: {document["source"]}. Verdict: **{document["verdict"]}**{_because(document["reason"])}

![Each arm's error, and each comparison with its band](figure.png)

| what is compared | held if | the source says | found (95 % interval) | over | verdict | why |
|---|---|---|---|---|---|---|
{rows}

{remarks}
Bands were written down in the code before any run. On {data["store"]}:
{photos["train"]:,} training{used} and {photos["val"]:,} validation photos of {data["classes"]} classes, of
{data["side"]} pixels{kind}. Made by

```
{lines}
```

| file | what |
|---|---|
{files}
"""


def _used(arms: Mapping[str, Any]) -> str:
    """How many of the training photos the arms are trained on; empty where all are on all."""
    counts = sorted({arm["data"]["images"] for arm in arms.values()})
    if not any(counts):
        return ""
    said = [f"{count:,}" for count in counts if count] + ["all"] * (0 in counts)
    return f" (of which the nets saw {' or '.join(said)})"


def _kind(arms: Mapping[str, Any]) -> str:
    """What all arms are shown, where it is not photos in colour that are mirrored; empty where it is."""
    seen = [arm["data"] for arm in arms.values()]
    grey = ["grey"] if seen and all(data["channels"] == 1 for data in seen) else []
    plain = ["never mirrored"] if seen and not any(data["mirror"] for data in seen) else []
    return "".join(f", {words}" for words in (*grey, *plain))


def _because(reason: str) -> str:
    return f" ({reason})." if reason else "."
