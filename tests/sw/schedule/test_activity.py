"""When stages work on frames, against the predicted interval and latency."""

import xnorflow as xf
from xnorflow import demo
from xnorflow.schedule.activity import activities


def test_frames_follow_each_other_at_the_interval() -> None:
    design = xf.compile(xf.load(demo.model_path()), cycles=4608)
    found = activities(design.spec, 4)
    assert [a.stage for a in found[::4]] == [s.name for s in design.spec.stages]
    for k in range(0, len(found), 4):
        own = found[k : k + 4]
        assert [a.frame for a in own] == [0, 1, 2, 3]
        assert own[3].ends - own[2].ends == design.ii
        for before, after in zip(own, own[1:], strict=False):
            assert before.fills <= before.begins <= before.ends < after.begins
    assert found[0].fills >= 0 and found[-4].ends < design.latency + design.ii
