"""What plots of a validation pack show: every class, however rare."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from crossmargin.validation_pack import reliability_plot


def test_a_class_that_never_came_true_and_one_that_was_hardly_announced_are_drawn_at_the_edge() -> None:
    classes = [
        {"announced": "0.1", "realised": "0.1", "cases": 50, "holds": True},
        {"announced": "0.00001", "realised": "0.03", "cases": 900, "holds": False},
        {"announced": "0.05", "realised": "0", "cases": 900, "holds": False},
    ]

    drawn = ET.fromstring(reliability_plot("7d", {"classes": classes}))  # noqa: S314 - we wrote it

    circles = [each for each in drawn.iter() if each.tag.endswith("circle")]
    left, bottom = (min(float(each.get(name, "")) for each in circles) for name in ("cx", "cy"))
    assert len(circles) == 3
    assert float(circles[1].get("cx", "")) == left < float(circles[2].get("cx", ""))
    assert float(circles[2].get("cy", "")) > float(circles[1].get("cy", "")) > bottom
    assert [each.get("fill") for each in circles] == ["#15803d", "#b91c1c", "#b91c1c"]
