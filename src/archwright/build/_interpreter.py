"""Run an open expression with every option of its choices, to see which shapes come out, and under which decisions.

Options may differ in shape. What follows is run for each shape that comes out, together with the set of architectures
in which it does, until a layer or a sum needs one shape: what it cannot take is a failure under that set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from archwright.build._conditions import Conditions, ExecutionPath, InfeasiblePath, TooMany
from archwright.build._kinds import is_layer, is_open, is_row
from archwright.build._shapes import Case, Failure, Inside, StandIn, Sum, key_of, reason, run_layer, signature
from archwright.errors import ArchwrightError
from archwright.space import (
    Absent,
    Apply,
    Blank,
    Call,
    Choice,
    Decision,
    Filled,
    Graph,
    Merge,
    Node,
    Recursive,
    Repeat,
    Resolver,
    Space,
    Subset,
    Value,
    body_of,
    decisions_in,
    expansion,
    written,
)

_REFUSED = object()
"""What comes out of a layer that may have looked into what it took."""


class ShapeInterpreter:
    """An interpreter of open expressions over tensors of which only the shape counts."""

    def __init__(self, space: Space, conditions: Conditions, known: dict[Any, Any], most: float) -> None:
        self.program = space.program
        self._names = self.program.names
        self._sets = conditions
        self._known = known  # what layers gave for some shapes; it may be shared by interpreters of one space
        self._left = most  # layers that may be run, besides those that are known
        self._memo: dict[Any, tuple[Any, int, list[Case]]] = {}  # what comes out of an item, and where that is known
        self._decided: dict[int, tuple[Any, frozenset[str]]] = {}
        self._held: dict[tuple[int, bool], tuple[Any, int]] = {}
        self._filled: Mapping[Blank, Any] = {}

    def apply(self, item: Any, inputs: list[Any], path: str, when: int) -> list[Case]:
        """Return what a module of the expression gives for some inputs.

        Raises:
            TooMany: There are more layers to be run than there may be.
        """
        key = (id(item), key_of(inputs), self._blanks())
        _, known, cases = self._memo.get(key, (item, 0, []))
        if self._sets.both(when, known) != when:
            wanted = self._sets.regardless(when, self._inside(item))
            cases = self._merged([*cases, *self._apply(item, inputs, path, wanted)])
            known = self._sets.either(known, wanted)
            self._memo[key] = item, known, cases  # with the item, so that no other gets its id
        if known == when:
            return cases
        return [Case(case.value, both) for case in cases if (both := self._sets.both(case.when, when))]

    def _inside(self, item: Any) -> frozenset[str]:
        """Return the names of the decisions inside of an item; of a recursive space, which is sampled, none."""
        if self.program.is_recursive:
            return frozenset()
        if id(item) not in self._decided:
            found = frozenset(self._names[decision] for decision in decisions_in(item))
            self._decided[id(item)] = item, found
        return self._decided[id(item)][1]

    def _merged(self, cases: Iterable[Case]) -> list[Case]:
        """Unite the cases in which the same comes out."""
        found: dict[Any, Case] = {}
        for case in cases:
            if case.when:
                key = key_of(case.value)
                before = found.get(key)
                found[key] = case if before is None else Case(before.value, self._sets.either(before.when, case.when))
        return list(found.values())

    def _apply(self, item: Any, inputs: list[Any], path: str, when: int) -> Iterable[Case]:
        if item is None:
            return [Case(Absent(inputs[0]), when)]
        if isinstance(item, Choice):
            name = self._names[item]
            return [
                case
                for label, option in zip(item.labels, item.options, strict=True)
                for case in self.apply(option, inputs, f"{name}.{label}", self._where(when, name, (label,)))
            ]
        if isinstance(item, Recursive):
            self.program.entered(item)
            return self.apply(expansion(item), inputs, path, when)
        if isinstance(item, Filled):
            return self._explored(when, lambda execution: self._filled_in(item, inputs, path, execution))
        if isinstance(item, Graph):
            return self._graph(item, inputs, item.name or path, when)
        if isinstance(item, Repeat):
            return self._row(item.bodies, inputs, self._names[item], when, item)
        if is_row(item):
            return self._row(item.args, inputs, path, when)
        if isinstance(item, Call):
            return self._layer(item, inputs, path, when)
        return [Case(Failure(f"{path}: {written(item)} stands where a layer is needed", path), when)]

    def _where(self, when: int, name: str, values: Iterable[Value]) -> int:
        return self._sets.both(when, self._sets.where(name, values))

    def _blanks(self) -> tuple[Any, ...]:
        return tuple((blank, repr(value)) for blank, value in self._filled.items())

    # ------------------------------------------------------------------ rows

    def _row(
        self, items: tuple[Any, ...], inputs: list[Any], path: str, when: int, repeat: Repeat | None = None
    ) -> list[Case]:
        """Run what stands in a row; of a repeat, the first so many."""
        if len(inputs) != 1:
            text = f"{path}: a row of layers takes one value and was given {len(inputs)}"
            return [Case(Failure(text, path), when)]
        cases, done = [Case(inputs[0], when)], []
        for index, item in enumerate(items):
            if repeat is not None and index >= repeat.low:
                over = self._sets.where(path, (index,))
                more = self._sets.where(path, range(index + 1, len(items) + 1))
                done += [Case(case.value, self._sets.both(case.when, over)) for case in cases]
                cases = [Case(case.value, self._sets.both(case.when, more)) for case in cases]
            at = f"{path}.{index}"
            none = Failure(f"{at}: None stands in a row of layers; write nn.Identity() there", at)
            found = [case for case in cases if isinstance(case.value, Failure)]
            for case in cases:
                if not isinstance(case.value, Failure):
                    found += self.apply(item, [case.value], at, case.when)
            cases = self._merged(replace(c, value=none) if isinstance(c.value, Absent) else c for c in found)
        return done + cases

    # ------------------------------------------------------------------ layers

    def _layer(self, call: Call, inputs: list[Any], path: str, when: int) -> list[Case]:
        """Make a layer and run it, once for each set of values that it is made by.

        Parts of the expression among what it takes, where something is open in them, are run whole inside of it, and it
        is run once for each combination of shapes that they give. A layer that looks into what it takes, and does more
        than call it, is given real modules instead.
        """
        cases = []
        for case in self._explored(when, lambda execution: self._once(call, inputs, path, execution, whole=True)):
            if case.value is _REFUSED:
                run = partial(self._once, call, inputs, path, whole=False)
                cases += self._explored(case.when, run, to_failure=True)
            else:
                cases.append(case)
        return cases

    def _once(self, call: Call, inputs: list[Any], path: str, execution: ExecutionPath, *, whole: bool) -> Any:
        """Return what a layer gives on one execution path, or the failure."""
        try:
            closed = _LayerResolver(self, execution, self._filled, whole=whole).close(call, path)
        except ArchwrightError as error:
            return Failure(str(error), path, execution.settings)
        if execution.has_parts:
            found = self._ran(closed, call, inputs, path, execution)
            is_refused = whole and isinstance(found, Failure) and found.path == path
            return _REFUSED if is_refused else found
        key = signature(closed, inputs)
        if key in self._known:
            return self._known[key]
        found = self._ran(closed, call, inputs, path, execution)
        if not isinstance(found, Failure):  # which has a path
            self._known[key] = found
        return found

    def _ran(self, closed: Any, call: Call, inputs: list[Any], path: str, execution: ExecutionPath) -> Any:
        """Run a layer on the meta device; if that fails, on the CPU, as the meta device does not know all layers."""
        self._left -= 1
        if self._left < 0:
            raise TooMany
        made: dict[int, tuple[Any, str]] = {}
        mark = execution.mark()
        try:
            return run_layer(closed, inputs, "meta", made)
        except Inside as found:
            return found.failure
        except Exception:
            execution.rewind(mark)
        try:
            return run_layer(closed, inputs, "cpu", made)
        except Inside as found:
            return found.failure
        except Exception as error:  # whatever a layer raises, the path must be known
            at = f"{path}, with {', '.join(execution.taken)}" if execution.taken else path
            return Failure(reason(error, call, inputs, at, made), path, execution.settings)

    def stand_in(self, item: Any, path: str, execution: ExecutionPath, filled: Mapping[Blank, Any]) -> Call:
        """Return the call that makes a module which stands for a part of the expression inside of a layer."""
        execution.has_parts = True

        def run(inputs: list[Any]) -> Any:
            cases = self._within(filled, lambda: self.apply(item, inputs, path, execution.when))
            return execution.pick([(case.value, case.when) for case in cases])

        return Call("", callee=lambda: StandIn(run))

    def _filled_in(self, item: Filled, inputs: list[Any], path: str, execution: ExecutionPath) -> Any:
        """Return what a template gives on one execution path."""
        try:
            filled = _LayerResolver(self, execution, self._filled).filling(item, path).filled
        except ArchwrightError as error:
            return Failure(str(error), path, execution.settings)
        cases = self._within(filled, lambda: self.apply(item.body, inputs, path, execution.when))
        return execution.pick([(case.value, case.when) for case in cases])

    def _within(self, filled: Mapping[Blank, Any], run: Callable[[], Any]) -> Any:
        """Run something with the blanks of templates filled in."""
        outside, self._filled = self._filled, filled
        try:
            return run()
        finally:
            self._filled = outside

    def _explored(self, when: int, run: Callable[[ExecutionPath], Any], *, to_failure: bool = False) -> list[Case]:
        """Run something once for each execution path, and return what comes out."""
        cases: list[Case] = []
        scripts: list[list[int]] = [[]]
        while scripts:
            execution = ExecutionPath(self._sets, when, scripts.pop())
            try:
                cases.append(Case(run(execution), execution.when))
            except InfeasiblePath:
                continue
            if to_failure and isinstance(cases[-1].value, Failure):
                break
            scripts += execution.alternatives()
        return cases

    # ------------------------------------------------------------------ graphs

    def _graph(self, graph: Graph, inputs: list[Any], path: str, when: int) -> list[Case]:
        if len(inputs) != len(graph.inputs):
            text = f"{path}: the graph takes {len(graph.inputs)} values and was given {len(inputs)}"
            return [Case(Failure(text, path), when)]
        memo: dict[Node, list[Case]] = {
            item: [Case(value, when)] for item, value in zip(graph.inputs, inputs, strict=True)
        }

        def cases_of(item: Any) -> list[Case]:
            if item is None:
                return [Case(Absent(inputs[0]), when)]
            if item not in memo:
                memo[item] = self._merged(fresh(item))
            return memo[item]

        def fresh(item: Any) -> Iterable[Case]:
            at = f"{path}.{graph.labels.get(item, '')}".rstrip(".")
            if isinstance(item, Choice):
                name = self._names[item]
                return [
                    Case(case.value, self._where(case.when, name, (label,)))
                    for label, option in zip(item.labels, item.options, strict=True)
                    for case in cases_of(option)
                ]
            if isinstance(item, Apply):
                return self._applied(item, [cases_of(part) for part in item.inputs], at, when)
            return [case for how in self._explored(when, partial(closed, item, at)) for case in merged(item, how, at)]

        def closed(item: Merge, at: str, execution: ExecutionPath) -> Any:
            """Return the kind of a merge and its axis on one execution path, or the failure."""
            try:
                return _LayerResolver(self, execution, self._filled).close((item.kind, item.axis), at)
            except ArchwrightError as error:
                return Failure(str(error), at, execution.settings)

        def merged(item: Merge, how: Case, at: str) -> list[Case]:
            if isinstance(how.value, Failure):
                return [how]
            sums = [Sum(how.when)]
            for index, part in enumerate(item.operands):
                sums = added(sums, part, how.value, at, f"{at} operand {index}")
            return [each.result(inputs[0]) for each in sums]

        def added(sums: list[Sum], part: Any, kind: tuple[str, int], at: str, place: str) -> list[Sum]:
            """Add what an operand stands for, of a subset those that are chosen, to each of some sums."""
            if not isinstance(part, Subset):
                label = f"{path}.{graph.labels[part]}" if part in graph.labels else place
                pairs = [
                    (each, case, self._sets.both(each.when, case.when)) for each in sums for case in cases_of(part)
                ]
                return self._united(each.plus(case.value, both, kind, at, label) for each, case, both in pairs)
            name = self._names[part]
            values: Any = self._sets.values(name)  # those of a subset are tuples
            for each_label, option in zip(part.labels, part.options, strict=True):
                inside = self._sets.where(name, [value for value in values if each_label in value])
                outside = self._sets.where(name, [value for value in values if each_label not in value])
                chosen = [replace(each, when=self._sets.both(each.when, inside)) for each in sums]
                others = [replace(each, when=self._sets.both(each.when, outside)) for each in sums]
                sums = self._united([*others, *added(chosen, option, kind, at, place)])
            return sums

        for item in graph.always():  # in the order of execution, so that none waits for a long chain of others
            cases_of(item)
        return cases_of(graph.output)

    def _united(self, sums: Iterable[Sum]) -> list[Sum]:
        """Unite the sums that are alike so far."""
        found: dict[Any, Sum] = {}
        for each in sums:
            if each.when:
                key = key_of(each.like) if each.value is None else key_of(each.value), each.value is None
                before = found.get(key)
                when = each.when if before is None else self._sets.either(before.when, each.when)
                found[key] = replace(before or each, when=when)
        return list(found.values())

    def _applied(self, item: Apply, given: list[list[Case]], path: str, when: int) -> list[Case]:
        """Return what a module gives for each combination of what its inputs may be."""
        combined: list[tuple[list[Any], int]] = [([], when)]
        for part in given:
            combined = [
                ([*values, case.value], self._sets.both(held, case.when)) for values, held in combined for case in part
            ]
        cases: list[Case] = []
        for values, held in combined:
            failure = next((value for value in values if isinstance(value, Failure)), None)
            if failure is None:
                cases += self.apply(item.module, values, path, held)
            else:  # no operation needs no input
                cases.append(Case(failure, self._sets.both(held, self._holding(item.module, absent=False))))
                absent = Absent(values[0])
                cases.append(Case(absent, self._sets.both(held, self._holding(item.module, absent=True))))
        return cases

    def _holding(self, module: Any, *, absent: bool) -> int:
        """Return in which architectures there is an operation, or none."""
        module = body_of(module)
        if not isinstance(module, Choice):
            return self._sets.everything if (module is None) == absent else 0
        key = id(module), absent
        if key not in self._held:
            found, name = 0, self._names[module]
            for label, option in zip(module.labels, module.options, strict=True):
                found = self._sets.either(found, self._where(self._holding(option, absent=absent), name, (label,)))
            self._held[key] = module, found
        return self._held[key][1]


class _LayerResolver(Resolver):
    """Closes what a layer is made by, on one execution path."""

    def __init__(
        self,
        interpreter: ShapeInterpreter,
        execution: ExecutionPath,
        filled: Mapping[Blank, Any],
        *,
        whole: bool = True,
    ) -> None:
        super().__init__(interpreter.program, {}, filled)
        # `whole`: rows and choices of modules stay open as well as graphs, to be run inside of the layer.
        self._interpreter, self._execution, self._whole = interpreter, execution, whole

    def close(self, item: Any, path: str) -> Any:
        """Return an item with the numbers in it decided, and with its modules to be run whole, or decided too."""
        if isinstance(item, Graph) or (self._whole and is_open(item)):
            return self._interpreter.stand_in(item, path, self._execution, self.filled)
        return super().close(item, path)

    def value(self, decision: Decision) -> Value:
        """Return what is decided on this execution path."""
        is_part = isinstance(decision, Choice) and is_layer(decision)
        return self._execution.decide(self.program.names[decision], is_part=is_part)

    def decided(self, decision: Decision, path: str) -> Any:
        """Return what a decision stands for; options have no paths of their own."""
        if isinstance(decision, Choice | Subset):
            chosen = decision.chosen(self.value(decision))
            return self.close(list(chosen) if isinstance(decision, Subset) else chosen[0], path)
        return super().decided(decision, path)
