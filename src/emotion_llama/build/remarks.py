"""What a person should know of a data set that was built without an error and is of little use all the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from emotion_llama.build.entry import Part
from emotion_llama.build.plan import Plan
from emotion_llama.build.steps.split import SplitSettings


def remarks(plan: Plan, emotions: Mapping[str, int], sides: Mapping[Part, int], why_not: Counter[str]) -> list[str]:
    """Give a line for each thing that is amiss.

    `emotions`, `sides`: clips in the set of each emotion and on each side; `why_not`: rejected clips by step.
    """
    if not emotions:
        most = ", ".join(f"{step} {count}" for step, count in why_not.most_common(3))
        gone = f" (rejected by {most})" if most else ""
        return [f"no clip is in the data set{gone}; build explain says why for each, stages.STEP.… changes what counts"]
    said = []
    if len(emotions) == 1:
        said.append(f"every clip is {next(iter(emotions))}: nothing can learn from it to tell emotions apart")
    for wanted in (one.settings for one in plan.whole if isinstance(one.settings, SplitSettings)):
        empty = [part for part, share in wanted.shares.items() if share and not sides.get(part)]
        if empty:
            whose = "speakers, or recordings without one," if wanted.by == "speaker" else "recordings"
            said.append(
                f"no clip on the side {' or '.join(empty)}: too few {whose} to share out; give clips of more, or ask "
                "for fewer sides (shares of stages.split)"
            )
    return said
