"""Tables as Markdown and LaTeX: numbers, marks, reasons, escapes."""

import pytest

from sweeps.tables import Entry, Row, Table, latex, markdown, number_text

TABLE = Table(
    title="Kendall's τ-b: trained on, tested on",
    label_columns=("trained on", "n"),
    columns=("sne", "stat_nn"),
    rows=(
        Row(
            labels=("svhn × arch2", "30"),
            entries=(
                Entry(value=0.8071, low=0.7952, high=0.8184, spread=0.0042, marked=True),
                Entry(status="n/a", reason="10 tensors | not 8"),
            ),
        ),
        Row(
            labels=("mean", ""),
            entries=(
                Entry(value=-0.0121, status="not trained enough"),
                Entry(reason="no ranking: the prediction is constant"),
            ),
            above=True,
        ),
    ),
    fixed=(True, True),
    notes=("higher is better",),
)


def test_markdown():
    assert markdown(TABLE) == (
        "**Kendall's τ-b: trained on, tested on**\n"
        "\n"
        "| trained on | n | sne | stat_nn |\n"
        "| --- | --- | ---: | ---: |\n"
        "| svhn × arch2 | 30 | **0.807** (0.795 … 0.818) ±0.004 | n/a [a] |\n"
        "| mean |  | −0.012† | – [b] |\n"
        "\n"
        "higher is better\n"
        "\n"
        "† not trained enough: no better than a constant on its own training networks; its figures "
        "say nothing of the method, and it is never marked\n"
        "\n"
        "[a] 10 tensors | not 8\n"
        "\n"
        "[b] no ranking: the prediction is constant\n"
    )


def test_latex():
    assert latex(TABLE) == (
        "% Kendall's τ-b: trained on, tested on\n"
        "\\begin{tabular}{llrr}\n"
        "\\toprule\n"
        "trained on & n & sne & stat\\_nn \\\\\n"
        "\\midrule\n"
        "svhn $\\times$ arch2 & 30 & $\\mathbf{0.807}$ {\\scriptsize $\\pm 0.004$} "
        "& n/a$^{a}$ \\\\\n"
        "\\midrule\n"
        "mean &  & $-0.012$$^\\dagger$ & --$^{b}$ \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
        "% higher is better\n"
        "% † not trained enough: no better than a constant on its own training networks; its "
        "figures say nothing of the method, and it is never marked\n"
        "% [a] 10 tensors | not 8\n"
        "% [b] no ranking: the prediction is constant\n"
    )


@pytest.mark.parametrize(
    ("value", "fixed", "text"),
    [
        (0.80712, True, "0.807"),
        (-0.0001, True, "0.000"),
        (-0.5, True, "−0.500"),
        (0.098, False, "0.0980"),
        (7.5231, False, "7.52"),
        (123.4, False, "123"),
        (4.2e-5, False, "4.20e-05"),
        (-2.25, False, "−2.25"),
        (0.0, False, "0.000"),
    ],
)
def test_numbers(value: float, fixed: bool, text: str):
    assert number_text(value, fixed=fixed) == text
