import pytest

from numbert.toyworld.world import Event, Fact, after, arguable, consequence, facts, possible, towards_goal, truth


def told(*events):
    return after([Event(kind, roles) for kind, roles in events])


BALL = (
    ("be", {"who": "Anna", "place": "kitchen"}),
    ("friend", {"who": "Anna", "whom": "Tom"}),
    ("have", {"who": "Anna", "what": "ball", "colour": "red"}),
)
GO = ("go", {"who": "Anna", "place": "park"})


@pytest.mark.parametrize("events, fact, expected", [
    (BALL, Fact("at", "Anna", "kitchen"), True),
    (BALL, Fact("at", "Anna", "park"), False),
    (BALL, Fact("at", "Anna", "park", positive=False), True),
    (BALL, Fact("at", "Tom", "kitchen"), None),
    (BALL, Fact("at", "Tom", "kitchen", positive=False), None),
    (BALL, Fact("has", "Anna", "ball"), True),
    (BALL, Fact("has", "Tom", "ball"), False),
    (BALL, Fact("lies", "ball", "kitchen"), True),
    (BALL, Fact("colour", "ball", "red"), True),
    (BALL, Fact("colour", "ball", "blue"), False),
    ((*BALL, GO), Fact("lies", "ball", "park"), True),          # the ball goes where Anna goes
    ((*BALL, GO), Fact("at", "Anna", "kitchen"), False),
    ((*BALL, ("drop", {"who": "Anna", "what": "ball"}), GO), Fact("lies", "ball", "kitchen"), True),
    ((*BALL, ("drop", {"who": "Anna", "what": "ball"})), Fact("has", "Anna", "ball"), False),
    ((*BALL, ("lose", {"who": "Anna", "what": "ball"})), Fact("has", "Anna", "ball"), False),
    ((*BALL, ("lose", {"who": "Anna", "what": "ball"})), Fact("has", "Tom", "ball"), None),
    ((*BALL, ("lose", {"who": "Anna", "what": "ball"})), Fact("lies", "ball", "kitchen"), None),
    ((*BALL, ("leave", {"who": "Anna"})), Fact("at", "Anna", "kitchen"), False),
    ((*BALL, ("leave", {"who": "Anna"})), Fact("at", "Anna", "park"), None),
    ((*BALL, ("leave", {"who": "Anna"})), Fact("lies", "ball", "kitchen"), False),
    ((*BALL, ("leave", {"who": "Anna"}), ("come", {"who": "Anna", "place": "hall"})),
     Fact("at", "Anna", "park"), False),
    ((*BALL, ("tired", {"who": "Anna"})), Fact("state", "Anna", "tired"), True),
    ((*BALL, ("tired", {"who": "Anna"})), Fact("state", "Anna", "rested"), False),
    ((*BALL, ("tired", {"who": "Anna"}), ("sleep", {"who": "Anna"})), Fact("state", "Anna", "rested"), True),
    (BALL, Fact("state", "Anna", "hungry"), None),
    ((*BALL, ("feel", {"who": "Anna", "feeling": "sad", "degree": "no longer"})), Fact("mood", "Anna", 1), True),
    ((*BALL, ("feel", {"who": "Anna", "feeling": "sad", "degree": "very"})), Fact("mood", "Anna", 1), False),
    (BALL, Fact("mood", "Anna", 1), None),
])
def test_truth(events, fact, expected):
    assert truth(told(*events), fact) is expected


def test_what_is_lost_by_one_and_found_and_lost_by_another_may_be_with_the_first():
    world = told(*BALL, ("lose", {"who": "Anna", "what": "ball"}),
                 ("be", {"who": "Tom", "place": "hall"}), ("find", {"who": "Tom", "what": "ball", "place": "hall"}),
                 ("lose", {"who": "Tom", "what": "ball"}))
    assert truth(world, Fact("has", "Tom", "ball")) is False
    assert truth(world, Fact("has", "Anna", "ball")) is None


def test_rain_makes_wet_those_outdoors_without_an_umbrella():
    rain = ("rain", {})
    assert consequence(told(*BALL, rain)) is None
    assert consequence(told(*BALL, GO)) is None
    assert consequence(told(*BALL, GO, rain)) == ("wet", {"who": "Anna"})
    assert arguable(told(*BALL, GO, rain), Fact("state", "Anna", "wet"))
    umbrella = ("have", {"who": "Anna", "what": "umbrella"})
    assert consequence(told(*BALL, GO, umbrella, rain)) == ("shelter", {"who": "Anna", "what": "umbrella"})
    assert consequence(told(*BALL, GO, rain, ("wet", {"who": "Anna"}))) is None


def test_a_mood_is_arguable_after_something_happened():
    happy = ("feel", {"who": "Anna", "feeling": "happy", "degree": "plain"})
    assert not arguable(told(*BALL, happy), Fact("mood", "Anna", 1))
    world = told(*BALL, happy, ("lose", {"who": "Anna", "what": "ball"}))
    assert arguable(world, Fact("mood", "Anna", 1))
    assert facts(world, "mood") == [Fact("mood", "Tom", 1), Fact("mood", "Tom", -1)]


def test_a_goal_is_reached_step_by_step():
    start = (("be", {"who": "Anna", "place": "hall"}), ("there", {"what": "kite", "place": "park"}),
             ("plan", {"who": "Anna", "what": "kite"}))
    go = ("go", {"who": "Anna", "place": "park"})
    take, use = ("take", {"who": "Anna", "what": "kite"}), ("use", {"who": "Anna", "what": "kite"})
    assert towards_goal(told(*start)) == go
    assert towards_goal(told(*start, go)) == take
    assert towards_goal(told(*start, go, take)) == use
    assert towards_goal(told(*start, go, take, use)) is None


def test_the_wet_go_indoors_and_get_dry():
    outdoors = (*BALL, GO, ("rain", {}), ("wet", {"who": "Anna"}))
    home = ("go", {"who": "Anna", "place": "kitchen"})
    assert towards_goal(told(*outdoors)) == home
    assert towards_goal(told(*outdoors, home)) == ("dry", {"who": "Anna"})
    assert towards_goal(told(*outdoors, home, ("dry", {"who": "Anna"}))) is None


def test_the_hungry_look_for_food_and_are_full_when_they_have_eaten():
    world = told(("be", {"who": "Anna", "place": "hall"}), ("have", {"who": "Anna", "what": "pie"}),
                 ("hungry", {"who": "Anna"}))
    assert towards_goal(world) == ("use", {"who": "Anna", "what": "pie"})
    world.happen(Event("use", {"who": "Anna", "what": "pie"}))
    assert truth(world, Fact("state", "Anna", "full")) is True
    assert facts(world, "has") == [] and facts(world, "lies") == []      # nobody asks after an eaten pie


def test_possible_events_ask_for_being_in_the_same_place():
    world = told(*BALL, ("come", {"who": "Tom", "place": "park"}))
    events = possible(world, ["Anna", "Tom"], ["ball"], ["kitchen", "park"])
    assert "give" not in events and "see" not in events and "take" not in events
    world.happen(Event("go", {"who": "Tom", "place": "kitchen"}))
    events = possible(world, ["Anna", "Tom"], ["ball"], ["kitchen", "park"])
    assert events["give"] == [{"who": "Anna", "what": "ball", "whom": "Tom"}]
