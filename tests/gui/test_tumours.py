def test_a_run_shows_four_layers(panel, viewer, run):
    run(panel)
    names=[l.name for l in viewer.layers]
    assert names == ["case","case liver","case restored","case residual","case anomaly score","case tumours"]
    for l in viewer.layers:
        assert [str(u) for u in l.units]==["millimeter"]*3
        assert tuple(l.scale)==(2.5,.8,.8)
        assert tuple(l.axis_labels)==("z","y","x")
    assert panel.threshold.count.text()=="2 lesions, 0.5 ml in all"
