from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("openvino", reason="made for x86 only")
onnx = pytest.importorskip("onnx", reason="needs the `train` extra: pip install femurct[train]")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from service.adapters.openvino_session import OpenvinoSession  # noqa: E402

FloatArray = npt.NDArray[np.float32]

SHAPE = (1, 1, 16, 16, 16)
CHANNELS = 16


def bounds(**largest: float) -> tuple[tuple[str, float], ...]:
    """As a contract holds them."""
    return tuple(largest.items())


def two_sided_network(path: Path, weights: FloatArray, **how: list[int]) -> Path:
    """hu -> positive part and negative part, joined -> one 3x3x3 convolution of both."""
    shape = [1, 1, "z", "y", "x"]
    both = np.ones((2 * CHANNELS, 1, 1, 1, 1), np.float32)
    nodes = [
        helper.make_node("Conv", ["hu", "spread"], ["wide"], kernel_shape=[1, 1, 1]),
        helper.make_node("Neg", ["wide"], ["opposite"]),
        helper.make_node("Relu", ["wide"], ["above"]),
        helper.make_node("Relu", ["opposite"], ["below"]),
        helper.make_node("Concat", ["above", "below"], ["parts"], axis=1),
        helper.make_node(
            "Conv",
            ["parts", "weights"],
            ["probability"],
            **{"kernel_shape": [3] * 3, "pads": [1] * 6, **how},
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "two_sided",
        [helper.make_tensor_value_info("hu", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, shape)],
        [
            numpy_helper.from_array(both[:CHANNELS], "spread"),
            numpy_helper.from_array(weights, "weights"),
        ],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path
    )
    return path


@pytest.fixture
def hu() -> FloatArray:
    return np.random.default_rng(0).integers(-90, 90, SHAPE).astype(np.float32)


@pytest.fixture
def whole_weights() -> FloatArray:
    """Whole numbers up to 127, which int8 holds; one of each half is 127."""
    rng = np.random.default_rng(1)
    weights = rng.integers(-3, 4, (1, 2 * CHANNELS, 3, 3, 3)).astype(np.float32)
    weights[0, [0, CHANNELS], 1, 1, 1] = 127
    return weights


def test_whole_numbers_are_convolved_to_the_rounding_of_bfloat16(
    tmp_path: Path, hu: FloatArray, whole_weights: FloatArray
) -> None:
    path = two_sided_network(tmp_path / "network.onnx", whole_weights)
    expected = OpenvinoSession(path, 1)(hu)

    found = OpenvinoSession(path, 1, bounds(above=255.0, below=127.5))(hu)

    # each part's sum and the sum of both are rounded to 8 bits where the CPU has bfloat16
    np.testing.assert_allclose(found, expected, rtol=2**-7, atol=2**-7 * np.abs(expected).max())
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.9999


def test_each_joined_tensor_is_cut_off_at_its_own_bound(tmp_path: Path) -> None:
    weights = np.zeros((1, 2 * CHANNELS, 3, 3, 3), np.float32)
    weights[0, [0, CHANNELS], 1, 1, 1] = 1
    path = two_sided_network(tmp_path / "network.onnx", weights)
    session = OpenvinoSession(path, 1, bounds(above=40.0, below=20.0))

    for hu, expected in ((30.0, 30.0), (80.0, 40.0), (-10.0, 10.0), (-80.0, 20.0)):
        found = session(np.full(SHAPE, hu, np.float32))
        np.testing.assert_allclose(found, expected, rtol=0.01)


def test_a_joined_tensor_without_a_bound_is_not_cut_off(tmp_path: Path) -> None:
    weights = np.zeros((1, 2 * CHANNELS, 3, 3, 3), np.float32)
    weights[0, [0, CHANNELS], 1, 1, 1] = 1
    path = two_sided_network(tmp_path / "network.onnx", weights)
    session = OpenvinoSession(path, 1, bounds(above=40.0))

    assert session(np.full(SHAPE, 80.0, np.float32)).max() == pytest.approx(40, rel=0.01)
    assert session(np.full(SHAPE, -80.0, np.float32)).max() == pytest.approx(80, rel=0.01)


def test_named_convolutions_run_on_integers_and_no_others(
    tmp_path: Path, hu: FloatArray, whole_weights: FloatArray
) -> None:
    path = two_sided_network(tmp_path / "network.onnx", whole_weights)

    def integer_convolutions(session: OpenvinoSession) -> int:
        session(hu)
        compiled = session._request.get_compiled_model()
        kinds = [
            (str(node.rt_info["layerType"].value), str(node.rt_info["runtimePrecision"].value))
            for node in compiled.get_runtime_model().get_ops()
        ]
        return sum(kind == "Convolution" and "8" in precision for kind, precision in kinds)

    assert integer_convolutions(OpenvinoSession(path, 1)) == 0
    assert integer_convolutions(OpenvinoSession(path, 1, bounds(above=90.0))) == 1
    assert integer_convolutions(OpenvinoSession(path, 1, bounds(above=90.0, below=90.0))) == 2


def test_a_name_that_no_convolution_sees_is_refused(
    tmp_path: Path, whole_weights: FloatArray
) -> None:
    path = two_sided_network(tmp_path / "network.onnx", whole_weights)
    with pytest.raises(ValueError, match=r"no convolution sees elsewhere; calibrate"):
        OpenvinoSession(path, 1, bounds(above=90.0, elsewhere=1.0))


def test_strides_and_dilations_are_kept(tmp_path: Path, hu: FloatArray) -> None:
    """Every second voxel, from neighbours two away."""
    path = two_sided_network(
        tmp_path / "network.onnx",
        np.ones((1, 2 * CHANNELS, 3, 3, 3), np.float32),
        strides=[2] * 3,
        dilations=[2] * 3,
        pads=[2] * 6,
    )
    expected = OpenvinoSession(path, 1)(hu)
    found = OpenvinoSession(path, 1, bounds(above=255.0, below=255.0))(hu)
    assert found.shape == expected.shape == (1, 1, 8, 8, 8)
    np.testing.assert_allclose(found, expected, rtol=2**-6)
