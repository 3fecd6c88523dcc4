from benchmarks.field.figures import Figure, Spread, disagreements, markdown


def figure(**samples: list[float]) -> Figure:
    return Figure("speed", "Speed", "tokens", dict(samples), references=("slow",))


def test_ratios_are_formed_in_each_round_and_not_of_medians() -> None:
    # The machine was three times as slow in the second round, for both.
    measured = figure(fast=[20.0, 6.0, 18.0], slow=[10.0, 3.0, 9.0])
    assert measured.ratio("fast", "slow") == Spread(2.0, 2.0, 2.0)


def test_a_server_that_dropped_out_is_compared_in_the_rounds_that_it_had() -> None:
    measured = figure(fast=[20.0], slow=[10.0, 3.0])
    assert measured.ratio("fast", "slow") == Spread(2.0, 2.0, 2.0)
    assert measured.ratio("absent", "slow") is None


def test_a_table_says_median_spread_and_ratio() -> None:
    table = figure(fast=[1000.0, 2000.0, 3000.0], slow=[100.0, 100.0, 100.0]).table()
    assert "| fast | 2,000 (1,000 to 3,000) | 20.0 (10.0 to 30.0) |" in table
    assert "| slow | 100                    | 1                   |" in table


def test_a_table_has_columns_of_one_width() -> None:
    assert markdown(["a", "bb"], [["long", "c"]]) == "| a    | bb |\n| ---- | -- |\n| long | c  |"


def test_runs_disagree_where_their_spreads_do_not_touch() -> None:
    here = figure(fast=[20.0, 22.0], slow=[10.0, 10.0])
    near = {"speed": figure(fast=[21.0, 25.0], slow=[10.0, 10.0]).as_json()}
    far = {"speed": figure(fast=[23.0, 25.0], slow=[10.0, 10.0]).as_json()}
    assert disagreements([here], near) == (1, [])
    common, apart = disagreements([here], far)
    assert common == 1
    assert apart == ["Speed, fast / slow: 2.10 (2.00 to 2.20) here, 2.40 (2.30 to 2.50) there"]
    assert disagreements([here], {}) == (0, [])
