import os

from benchmarks.machine import busy_seconds, machine, others, processor


def test_the_processor_is_named_with_its_vectors() -> None:
    cpuinfo = "processor\t: 0\nmodel name\t: AMD EPYC\ncpu family\t: 25\nmodel\t\t: 1\nflags\t\t: fpu avx avx2\n"
    assert processor(cpuinfo) == "AMD EPYC (family 25, model 1, avx2)"


def test_an_unknown_form_is_no_error() -> None:
    assert processor("") == "? (family ?, model ?, no AVX)"


def test_work_of_all_cores_is_summed_without_waiting() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    assert busy_seconds(f"cpu  {ticks} {ticks} {ticks} 999 999 {ticks} 0 0 0 0\ncpu0 7 7\n") == 4.0


def test_others_are_some_share_of_the_cores() -> None:
    # Ticks are 10 ms, so a little more than all cores can come out.
    assert 0 <= others() <= (os.cpu_count() or 1) * 1.2


def test_this_machine_is_described() -> None:
    assert machine()["cores"] >= 1
