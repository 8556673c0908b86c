from benchmarks.machine import machine, processor


def test_the_processor_is_named_with_its_vectors() -> None:
    cpuinfo = "processor\t: 0\nmodel name\t: AMD EPYC\ncpu family\t: 25\nmodel\t\t: 1\nflags\t\t: fpu avx avx2\n"
    assert processor(cpuinfo) == "AMD EPYC (family 25, model 1, avx2)"


def test_an_unknown_form_is_no_error() -> None:
    assert processor("") == "? (family ?, model ?, no AVX)"


def test_this_machine_is_described() -> None:
    assert machine()["cores"] >= 1
