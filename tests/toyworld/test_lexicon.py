from numbert.toyworld import lexicon


def test_names_are_distinct_in_both_languages():
    for table in (lexicon.PEOPLE, lexicon.PLACES, lexicon.THINGS):
        assert len({entry.zh for entry in table.values()}) == len(table)
    for table in (lexicon.COLOURS, lexicon.FEELINGS, lexicon.ZH_STATES):
        assert len(set(table.values())) == len(table)
    kinds = [lexicon.PEOPLE, lexicon.PLACES, lexicon.THINGS, lexicon.FEELINGS, lexicon.CIRCUMSTANCES]
    assert sum(map(len, kinds)) == len({name for kind in kinds for name in kind}), "one name for two things"


def test_nothing_is_called_the_same_as_its_opposite():
    for thing in lexicon.CIRCUMSTANCES.values():
        assert thing.good != thing.bad and thing.zh_good != thing.zh_bad
    assert not set(lexicon.GOOD_FEELINGS) & set(lexicon.BAD_FEELINGS)
    assert set(lexicon.DENIALS) | set(lexicon.AFFIRMATIONS) == set(lexicon.DEGREES)
    assert {word for pair in lexicon.STATES.values() for word in pair} == set(lexicon.ZH_STATES)


def test_chinese_names_are_chinese_characters():
    for table in (lexicon.PEOPLE, lexicon.PLACES, lexicon.THINGS, lexicon.CIRCUMSTANCES):
        for entry in table.values():
            assert all("\u4e00" <= character <= "\u9fff" for character in entry.zh), entry
    assert all(len(thing.classifier) == 1 for thing in lexicon.THINGS.values())
