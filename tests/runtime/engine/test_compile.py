def test_gradients_take_the_activations_that_are_there(compiled):
    operations = [node.op for node in compiled("mean").parts["work"].graph.node]
    assert operations.count("Relu") == 1
    assert operations.count("BiasAdd") == 2
