"""A run with a time limit in minutes: how many steps it takes, planned again when the machine becomes slower or
faster.

Learning rate and measurements depend on the position of a step: how far it is in the first plan. A new plan stretches
or shortens the rest, so the learning rate does not jump. All plans are saved in the checkpoint.
"""
import time


class Plan:
    """The steps of a run. `changes`: [(step, position there, number of the last step), ...], what was planned later."""

    def __init__(self, steps, changes=()):
        self.first, self.changes = steps, [tuple(change) for change in changes]

    @property
    def steps(self):
        """The number of the last step, by the latest plan."""
        return self.changes[-1][2] if self.changes else self.first

    def position(self, step):
        """Where a step, from 0, is in the first plan: 0..first. Without changes it is the step."""
        start, position, last = next((change for change in reversed(self.changes) if change[0] <= step),
                                     (0, 0.0, self.first))
        return position + (self.first - position) * (step - start) / (last - start)

    def change(self, step, last):
        """After `step` steps: plan that the last one will be number `last`."""
        self.changes.append((step, self.position(step), last))

    def passes(self, step, every):
        """Whether the step that was the `step`th, from 1, is the last or ends another `every` of the first plan."""
        return step == self.steps or self.position(step) // every > self.position(step - 1) // every


class Budget:
    """Keeps a `Plan` within `seconds`, of which some may be `used` already, at the step that the run begins with.

    A new plan is `due` after every twentieth of the time, when the time is over, and before the last step: if time is
    left then, steps are added.
    """

    def __init__(self, plan, seconds, step=0, used=0.0, clock=time.monotonic):
        self.plan, self.seconds, self.clock = plan, seconds, clock
        self.began = clock() - used
        self.each = None if step else seconds / plan.first              # seconds of a step, as it has been lately
        self.pause = self.paused = 0.0                  # seconds of the last pause, and of all since the last plan
        self.planned, self.resumed = (clock(), step), clock()

    @property
    def used(self):
        return self.clock() - self.began

    def due(self, step):
        since = self.clock() - self.planned[0]
        return since >= max(2.0, self.seconds / 20) or self.used > 1.03 * self.seconds or step == self.plan.steps - 1

    def may_pause(self):
        """Whether there is time for something other than a step, such as a measurement: at most a sixth of all time."""
        return self.clock() - self.resumed >= 5 * self.pause

    def paused_for(self, seconds):
        """Record that something other than a step took `seconds`. It is expected once more, after the last step."""
        self.pause, self.paused, self.resumed = seconds, self.paused + seconds, self.clock()

    def plan_again(self, step, pauses):
        """After a step, with `pauses` still to come: change the plan if it would miss the limit by more than 2%."""
        now, (then, before) = self.clock(), self.planned
        if step == before:
            return
        each = (now - then - self.paused) / (step - before)
        self.each = each if self.each is None else (self.each + each) / 2       # one step may be slow by chance
        left = self.seconds - self.used - self.pause                            # the last one is certain
        left -= min((pauses - 1) * self.pause, max(0.0, left) / 6)
        if abs((self.plan.steps - step) * self.each - left) > 0.02 * self.seconds:
            self.plan.change(step, step + max(1, round(left / self.each)))
        self.planned, self.paused = (now, step), 0.0
