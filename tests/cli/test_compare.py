import csv
import html
import io
import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from tests.report.synthetic import write_fifty, write_run

METRIC = "eval/accuracy"


@pytest.fixture
def runs(tmp_path):
    """Two groups of three seeds, and a run that failed."""
    folder = tmp_path / "outputs"
    for seed, end in ((1, 0.90), (2, 0.92), (3, 0.94)):
        write_run(folder / f"mean-{seed}", seed=seed, accuracies=(0.1, 0.5, end), bits=2**22)
        write_run(folder / f"small-{seed}", aggregator="small", seed=seed, accuracies=(0.1, 0.4, end - 0.3))
    write_run(folder / "broken", status="failed", error={"message": "it <b>diverged</b>\x1b[31m"})
    return folder


def test_the_table_the_difference_and_what_is_not_counted(invoke, runs):
    done = invoke("compare", str(runs), "--target", f"{METRIC}=0.45")
    assert done.exit_code == 0, done.stderr
    head, mean, small, *rest = done.stdout.splitlines()
    assert head.split()[:3] == ["aggregator", "seeds", "rounds"]
    assert mean.startswith("A  mean            3       2  0.9200 ± 0.0200")
    assert "4x less" in small
    assert "round 1, 4.0 Mibit up, 1.0 s" in mean
    text = "\n".join(rest)
    assert "B (aggregator=small): -0.3000 [-0.3453, -0.2547]  worse than the baseline" in text
    assert re.search(r"failed +round 2, eval/accuracy 0\.9000 +outputs/broken +it <b>diverged</b>\\x1b\[31m", text)
    assert "\x1b" not in done.stdout
    assert "⠀" not in done.stdout  # no plot where there is no terminal


def test_no_tensorflow_no_hydra_no_numpy(runs):
    program = "import atexit, sys\nheavy = {'tensorflow', 'hydra', 'omegaconf', 'numpy', 'scipy'}\n"
    program += "atexit.register(lambda: print(heavy & sys.modules.keys()))\n"
    program += "from fedcli.cli.main import main; main()"
    arguments = ["compare", str(runs), "--plot", "--html", str(runs / "r.html")]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "set()", done.stderr


def test_json_is_one_document(invoke, runs):
    done = invoke("compare", str(runs), "--json", "--baseline", "aggregator=small")
    document = json.loads(done.stdout)
    first, second = document["groups"]
    assert document["baseline"] == "B"
    assert (first["label"], first["seeds"]) == ("aggregator=mean", [1, 2, 3])
    assert first["final"][METRIC]["mean"] == pytest.approx(0.92)
    assert first["difference"]["low"] == pytest.approx(0.2547, abs=1e-4)
    assert first["aggregated_ratio"] == 0.25
    assert second["difference"] is None
    [broken] = document["not_counted"]
    assert (broken["status"], broken["final"]) == ("failed", 0.9)


def test_json_without_a_finite_value_is_still_json(invoke, tmp_path):
    write_run(tmp_path / "a", accuracies=("nan", "inf"))

    def refuse(constant):
        raise AssertionError(constant)

    document = json.loads(invoke("compare", str(tmp_path), "--json").stdout, parse_constant=refuse)
    assert document["groups"][0]["final"][METRIC] == {"n": 0, "missing": 1, "diverged": 1, "mean": None, "spread": None}
    assert document["groups"][0]["runs"][0]["final"] is None


def test_csv_parses_back(invoke, runs):
    done = invoke("compare", str(runs), "--csv")
    mean, small = csv.DictReader(io.StringIO(done.stdout))
    assert mean["aggregator"] == "mean"
    assert float(small[METRIC]) == pytest.approx(0.62)
    assert float(small[f"{METRIC} sd"]) == pytest.approx(0.02)
    assert small[f"{METRIC} n"] == "3"
    assert float(mean["aggregated_bits"]) == 2**23
    assert mean["difference"] == ""
    assert "not counted" in done.stderr


def test_markdown_parses_back(invoke, runs):
    done = invoke("compare", str(runs), "--md", "--columns", "group,aggregator,final")
    head, marks, *rows = [line.strip("|\n ").split(" | ") for line in done.stdout.splitlines()]
    assert head == ["aggregator", METRIC] or head[-2:] == ["aggregator", METRIC]
    assert marks == ["---", "---", "---:"]
    assert rows == [["A", "mean", "0.9200 ± 0.0200"], ["B", "small", "0.6200 ± 0.0200"]]


def test_sort_top_and_columns(invoke, runs):
    done = invoke("compare", str(runs), "--csv", "--sort", "up", "--columns", "aggregator,up,eval/loss,lr")
    assert done.exit_code == 2
    assert "lr: no such column" in done.stderr
    done = invoke("compare", str(runs), "--csv", "--sort", "up", "--columns", "aggregator,up,eval/loss")
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert rows[0] == ["aggregator", "aggregated_bits", "eval/loss", "eval/loss sd", "eval/loss n"]
    assert [row[0] for row in rows[1:]] == ["small", "mean"]
    done = invoke("compare", str(runs), "--csv", "--top", "1", "--columns", "aggregator")
    assert done.stdout == "aggregator\nmean\n"
    assert "not shown: 1 group more (--top 1)" in done.stderr
    done = invoke("compare", str(runs), "--csv", "--sort=-final", "--columns", "aggregator")
    assert done.stdout == "aggregator\nsmall\nmean\n"


def test_quiet_is_the_table_alone(invoke, runs):
    done = invoke("compare", str(runs), "-q")
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == ""


def test_a_plot_as_text_and_as_svg(invoke, runs, tmp_path):
    done = invoke("compare", str(runs), "--plot", "--against", "bits", "--png", "curves.svg")
    assert "eval/accuracy against bits" in done.stdout
    assert re.search("[\u2801-\u28ff]", done.stdout)
    picture = ElementTree.parse(tmp_path / "curves.svg")
    curves = [item for item in picture.iter("{http://www.w3.org/2000/svg}path") if item.get("class") == "curve"]
    assert len(curves) == 2


def test_a_png_or_the_way_to_get_one(invoke, runs, tmp_path):
    done = invoke("compare", str(runs), "--png", "curves.png")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        assert done.exit_code == 2
        assert "needs Matplotlib" in done.stderr
    else:
        assert done.exit_code == 0, done.stderr
        assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metric", "eval/acuracy"], "eval/acuracy: no run has this metric"),
        (["--target", "eval/accuracy"], "not METRIC=NUMBER"),
        (["--baseline", "mean"], "not KEY=VALUE"),
        (["--baseline", "aggregator=meen"], "no group has this value"),
        (["--sort", "finel"], "finel: no such column"),
        (["--columns", ","], "names no column"),
        (["--top", "0"], "not a number of groups"),
        (["--csv", "--md"], "exclude each other"),
        (["--png", "curves.gif"], "neither .png nor .svg"),
        (["--against", "hours"], "hours"),
    ],
)
def test_a_wrong_option_is_two_lines_and_exit_2(run_cli, runs, arguments, message):
    done = run_cli("compare", runs, *arguments)
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert message in first
    assert second.strip().startswith("try: ")
    assert done.stdout == ""


def test_nothing_found_is_two_lines_and_exit_2(invoke, tmp_path):
    for path, message in ((tmp_path, "no runs found"), (tmp_path / "missing", "no such run")):
        done = invoke("compare", str(path))
        assert done.exit_code == 2
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 2
        assert json.loads(invoke("compare", str(path), "--json").stdout)["error"]["exit_code"] == 2


def test_a_report_that_cannot_be_written_is_an_error_not_a_traceback(invoke, runs):
    done = invoke("compare", str(runs), "--html", str(runs / "missing" / "report.html"))
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 2


def test_only_broken_runs_are_listed(invoke, tmp_path):
    write_run(tmp_path / "a", status="interrupted", error={"message": "stopped"})
    done = invoke("compare", str(tmp_path), "--html", "report.html")
    assert done.exit_code == 0, done.stderr
    assert "interrupted  round 2, eval/accuracy 0.9000" in done.stdout
    assert "interrupted" in (tmp_path / "report.html").read_text()


SAMPLE = """2026-11-21 08:25:37,760 INFO fedcli.training.recorder: sample after round 0: What <script>alert(1)</script>
second line
2026-11-21 08:25:50,096 INFO fedcli.training.recorder: sample after round 3: To be
"""


def test_the_report_holds_all_and_escapes_it(invoke, tmp_path):
    write_fifty(tmp_path / "outputs", rounds=5)
    folder = write_run(tmp_path / "outputs" / "text<i>", aggregator=json.dumps("'\"><script>alert(2)</script>"), seed=7)
    (folder / "run.log").write_text(SAMPLE)
    done = invoke("compare", "outputs", "--html", "report.html")
    assert done.exit_code == 0, done.stderr
    page = (tmp_path / "report.html").read_text()
    for title in (
        "Groups",
        "Differences",
        "Curves",
        "Config differences",
        "Not counted",
        "environment",
        "Sample texts",
    ):
        assert re.search(f"<h2>[^<]*{title}", page), title
    for name in ("x-killed", "x-truncated-json", "half-written", "x-foreign", "python 3.11.7", "0123456789"):
        assert name in page
    assert "What &lt;script&gt;alert(1)&lt;/script&gt;\nsecond line</pre>" in page
    assert "alert(2)" in page
    assert page.count("<script>") == 1
    assert html.escape("text<i>") in page
    assert not re.search(r"(src|href)=[\"'](?!data:)|url\(|@import", page)


#: Appended to a copy of the page: clicks, and leaves what it saw in the DOM, which --dump-dom prints.
HOOK = """<script>
  const names = () => [...document.querySelectorAll("#groups tbody tr")].map(row => row.cells[1].textContent);
  const heads = [...document.querySelectorAll("#groups th")];
  const head = text => heads.find(item => item.textContent.trim() === text);
  const seen = {before: names()};
  head("up").firstElementChild.click();
  seen.ascending = names();
  head("up").firstElementChild.click();
  seen.descending = names();
  seen.sort = head("up").getAttribute("aria-sort");
  seen.curves = document.querySelectorAll("svg path.curve").length;
  seen.bands = document.querySelectorAll("svg path.band").length;
  seen.widths = [...document.querySelectorAll("svg path.curve")].map(item => item.getBBox().width > 10);
  seen.requests = performance.getEntriesByType("resource").length;
  seen.errors = errors;
  const place = document.createElement("pre");
  place.id = "seen";
  place.textContent = JSON.stringify(seen);
  document.body.append(place);
</script>"""
EARLY = """<script>
  const errors = [];
  for (const kind of ["error", "securitypolicyviolation"])
    addEventListener(kind, event => errors.push(event.message || event.blockedURI || kind), true);
  console.error = console.warn = (...texts) => errors.push(texts.join(" "));
</script>"""
CHROMIUM = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--dump-dom",
]


def test_in_a_browser_the_table_sorts_and_nothing_leaves_the_page(invoke, runs, tmp_path):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    for seed in (1, 2):
        write_run(runs / f"large-{seed}", aggregator="large", seed=seed, bits=2**24)
    done = invoke("compare", str(runs), "--html", "report.html")
    assert done.exit_code == 0, done.stderr
    page = (tmp_path / "report.html").read_text()
    hooked = tmp_path / "hooked.html"
    hooked.write_text(page.replace("<head>", "<head>" + EARLY).replace("</body>", HOOK + "</body>"))
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    # Whatever asked for a name would get an answer of `not found`, and say so.
    offline = "--host-resolver-rules=MAP * ~NOTFOUND"
    browser = subprocess.run(
        [chromium, *CHROMIUM, profile, offline, hooked.as_uri()], capture_output=True, text=True, timeout=120
    )
    found = re.search(r'<pre id="seen">(.*?)</pre>', browser.stdout, re.DOTALL)
    assert found, browser.stderr
    seen = json.loads(html.unescape(found[1]))
    assert seen["before"] == ["large", "mean", "small"]
    assert seen["ascending"] == ["small", "mean", "large"]
    assert seen["descending"] == ["large", "mean", "small"]
    assert seen["sort"] == "descending"
    assert (seen["curves"], seen["bands"]) == (6, 6)
    assert all(seen["widths"])
    assert seen["requests"] == 0
    assert seen["errors"] == []
    assert "CONSOLE" not in browser.stderr
