"""What a reader meets in a lesson is counted as STYLE's table counts it."""

import lesson_counts
import nbformat
from making import notebook

v4 = nbformat.v4
TEXT = """# A title isn't prose

Let's look at 20 photos; you decide. Our model is right: see [the page](x.md).

- by the end you can count

| a table | isn't |
|---|---|

```python
no = "prose"
```

## Check yourself
1. One?
2. Two?

<details><summary>Answers</summary>

1. Yes.
</details>

## Summary
- This is no task."""


def test_each_count_is_what_it_says():
    text, exercise = v4.new_markdown_cell(TEXT), v4.new_markdown_cell("**Exercise 1.** Do it. ![A leaf](leaf.png)")
    printed = v4.new_code_cell("# a comment\nx = 1\n\nprint(x)")
    printed.outputs = [
        v4.new_output("stream", text="accuracy 0.91 [0.87 0.94]\n95% confidence interval: 87% to 94%\n[3, 4] 1.0\n"),
        v4.new_output("display_data", {"image/png": "", "text/plain": "Bars with 95% intervals: a 0.5, 0.4 to 0.6"}),
    ]
    folded = v4.new_code_cell("y = 2\n" * 9, metadata={"jupyter": {"source_hidden": True}})
    found = lesson_counts.count(notebook(text, printed, exercise, folded))
    assert (found["texts"], found["codes"], found["folded"]) == (2, 1, " (1 more folded)")
    assert (found["lines"], found["cell"], found["largest"]) == (2, 2, 2)
    assert found["words"] == 14 + 6 + 2 + 2 + 1 + 2 + 4 + 4  # a list's numbers count
    assert (found["longest"], found["pictures"], found["intervals"], found["tasks"]) == (14, 2, 2, "3a")
    assert [round(found[name] * found["words"] / 100) for name in ("we", "you", "stops")] == [2, 2, 2]


def test_the_table_has_a_row_for_each_lesson_and_the_aim():
    lines = lesson_counts.table(sorted(lesson_counts.NOTEBOOKS.glob("0*.ipynb"))[:2]).splitlines()
    assert len(lines) == 5
    assert len({line.count("|") for line in lines}) == 1
