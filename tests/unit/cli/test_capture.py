"""What is kept of an output, however much of it there is."""

from hypothesis import given
from hypothesis import strategies as st

from cli.run.capture import KEPT, Capture

writes = st.lists(
    st.tuples(st.booleans(), st.binary(min_size=1, max_size=9), st.sampled_from([1, 700, 9000])),
    max_size=60,
)


@given(writes)
def test_what_is_kept_is_the_end_of_the_output_as_it_came(
    written: list[tuple[bool, bytes, int]],
) -> None:
    capture, whole, streams = Capture(), b"", {True: b"", False: b""}
    for to_stderr, data, times in written:
        (capture.add_stderr if to_stderr else capture.add_stdout)(data * times)
        whole += data * times
        streams[to_stderr] += data * times
    both, stdout, stderr = capture.both(), capture.stdout(), capture.stderr()
    assert capture.size == len(whole)
    assert both.text == whole[-KEPT:]
    assert both.cut == (len(whole) > KEPT)
    for view, stream in ((stdout, streams[False]), (stderr, streams[True])):
        assert stream.endswith(view.text)
        assert len(view.text) >= min(len(stream), KEPT)
    for view in (both, stdout, stderr):
        assert bytes(whole[position] for position in view.positions) == view.text


def test_memory_stays_small_however_much_is_written() -> None:
    capture = Capture()
    for _ in range(2000):
        capture.add_stdout(b"x" * KEPT)
        capture.add_stderr(b"y")
    assert capture.size == 2000 * (KEPT + 1)
    assert len(capture.stdout().text) < 3 * KEPT
    assert len(capture.stderr().text) == 2000
