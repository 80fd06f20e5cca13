"""Which conditional route leads nowhere?

As 5.1.1 has it: a route whose shape is wrong makes the whole config be refused, without a word about where; an operator
or a value that it cannot use is accepted, and the route takes no record; an output that is not there costs one warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from supervisor.config.lint.nouns import Context, Located
from supervisor.config.lint.regexes import fault_of
from supervisor.config.lint.rules import Rule, mistake
from supervisor.config.lint.tags import outputs_in
from supervisor.config.lint.texts import Values, did_you_mean, finding, known
from supervisor.config.lint.values import double
from supervisor.config.names import lower, shown
from supervisor.model import Entry, Finding, Group, Kind, Node, Scalar, Snippet
from supervisor.model import Sequence as Listing

RULES: tuple[Rule, ...] = (
    mistake("unknown-route-output", "a conditional route to an output that is not there"),
    mistake("bad-route", "a conditional route without name, target or condition that Fluent Bit takes"),
    mistake("bad-route-operator", "a routing rule with an operator that is none: the route takes no record"),
    mistake("bad-route-value", "a routing rule whose operator cannot use its value: the route takes no record"),
    mistake("bad-route-field", "a routing rule on a field that its signal does not have, or that is not `$NAME`"),
)

_OPERATORS = ("eq", "neq", "gt", "lt", "gte", "lte", "regex", "not_regex", "in", "not_in")
_NUMERIC = frozenset({"gt", "lt", "gte", "lte"})
_SETS = frozenset({"in", "not_in"})
_SIGNALS = ("logs", "metrics", "traces", "any")
_CONTEXTS = frozenset(
    {
        *("metadata", "record_metadata", "attributes", "body", "record", "message", "record_body"),
        *("group_metadata", "group_attributes", "group_body", "otel_resource_attributes"),
        *("otel_scope_attributes", "otel_scope_name", "otel_scope_version", "otel_scope_metadata"),
    }
)
_REFUSES = "Fluent Bit refuses the whole config"
_SILENT = "the route would take no record"


def lint_routes(sections: Sequence[Located], context: Context) -> Iterator[Finding]:
    """What is wrong with the `routes` of the inputs."""
    names = frozenset(_names_of_outputs(sections, context.variables))
    whole = not context.unseen_pipeline and not any(p.section.kind in (Kind.UNKNOWN, Kind.CUSTOM) for p in sections)
    for place in sections:
        for entry in place.section.entries if place.section.kind is Kind.INPUT else ():
            if lower(entry.key) != "routes" or not isinstance(entry.value, Group):
                continue
            for signal in entry.value.entries:
                yield from _signal(place.snippet, signal)
            for output in outputs_in(entry.value) if whole else ():
                name = known(output.text, context.variables)
                if name is not None and name not in names:
                    message = f"there is no output '{shown(output.text)}' for this route to lead to"
                    hint = did_you_mean(output.text, names) or "name an output's alias, or its plugin"
                    yield finding(place.snippet, output.line, "unknown-route-output", message, hint)


def _names_of_outputs(sections: Sequence[Located], values: Values) -> Iterator[str]:
    """Whatever a route may call an output: its alias, PLUGIN.N, or its plugin."""
    number = 0
    for place in sections:
        if place.section.kind is Kind.OUTPUT:
            for key in ("alias", "name"):
                said = place.section.get(key)
                text = known(said.text, values) if said is not None else None
                if text is not None:
                    yield from (text, lower(text), f"{lower(text)}.{number}")
            number += 1


def _signal(snippet: Snippet, signal: Entry) -> Iterator[Finding]:
    words = lower(signal.key).replace(",", " ").replace("|", " ").replace("+", " ").split()
    if not words or any(word not in _SIGNALS for word in words):
        message = f"'{shown(signal.key)}' is no kind of records that routes are made for: {_REFUSES}"
        yield finding(snippet, signal.line, "bad-route", message, f"one of {', '.join(_SIGNALS)}")
        return
    routes = signal.value.items if isinstance(signal.value, Listing) else (signal.value,)
    seen: set[str] = set()
    for route in routes:
        if not isinstance(route, Group):
            yield finding(snippet, signal.line, "bad-route", f"a route is a map with a name: {_REFUSES}", "")
            continue
        name = _scalar(route, "name")
        if name is None:
            yield finding(snippet, route.line, "bad-route", f"this route has no name: {_REFUSES}", "give it one")
        elif name.text in seen:
            message = f"a second route is named '{shown(name.text)}': {_REFUSES}"
            yield finding(snippet, name.line, "bad-route", message, "give each its own name")
        if name is not None:
            seen.add(name.text)
        if _child(route, "to") is None:
            message = f"this route has no 'to': {_REFUSES}"
            yield finding(snippet, route.line, "bad-route", message, "add: to, with a list of outputs")
        condition = _child(route, "condition")
        if condition is not None:
            yield from _condition(snippet, condition, frozenset(words))


def _condition(snippet: Snippet, condition: Node, signals: frozenset[str]) -> Iterator[Finding]:
    if not isinstance(condition, Group):
        return
    how = _scalar(condition, "op")
    if how is not None and lower(how.text) not in ("and", "or"):
        message = f"'{shown(how.text)}' does not join rules: {_REFUSES}"
        yield finding(snippet, how.line, "bad-route-operator", message, "write and, or or")
    default, rules = _scalar(condition, "default"), _child(condition, "rules")
    if default is not None and lower(default.text) not in ("true", "false"):
        message = f"'default' is true or false, not '{shown(default.text)}': {_REFUSES}"
        yield finding(snippet, default.line, "bad-route", message, "write true or false")
    elif rules is None and (default is None or lower(default.text) == "false"):
        message = f"this condition has no rules, and is no default: {_REFUSES}"
        yield finding(snippet, condition.line, "bad-route", message, "add rules, or default: true")
    for rule in rules.items if isinstance(rules, Listing) else ():
        if isinstance(rule, Group):
            yield from _rule(snippet, rule, signals)


def _rule(snippet: Snippet, rule: Group, signals: frozenset[str]) -> Iterator[Finding]:
    field, operator, value = _scalar(rule, "field"), _scalar(rule, "op"), _child(rule, "value")
    place = _scalar(rule, "context")
    for key, said in (("field", field), ("op", operator), ("value", value)):
        if said is None:
            message = f"this routing rule has no '{key}': {_REFUSES}"
            yield finding(snippet, rule.line, "bad-route", message, "a rule is field, op and value")
    if place is not None and lower(place.text) not in _CONTEXTS:
        message = f"'{shown(place.text)}' is no context of a record: {_REFUSES}"
        yield finding(snippet, place.line, "bad-route", message, did_you_mean(lower(place.text), _CONTEXTS))
    if field is not None:
        yield from _field(snippet, field, signals)
    if operator is not None and value is not None:
        yield from _operator(snippet, operator, value)


def _field(snippet: Snippet, field: Scalar, signals: frozenset[str]) -> Iterator[Finding]:
    if "${" in field.text:
        return
    if not field.text.startswith("$"):
        message = f"'{shown(field.text)}' is not a field: {_SILENT}"
        yield finding(snippet, field.line, "bad-route-field", message, "write it with a dollar sign: $NAME")
    elif signals == {"logs"} and field.text.startswith(("$metric.", "$span.", "$scope.")):
        message = f"a log has no field '{shown(field.text.lstrip('$'))}': {_REFUSES}"
        yield finding(snippet, field.line, "bad-route-field", message, "name a field of the record")


def _operator(snippet: Snippet, operator: Scalar, value: Node) -> Iterator[Finding]:
    name = lower(operator.text)
    if "${" in name:
        return
    if name not in _OPERATORS:
        hint = did_you_mean(name, _OPERATORS) or f"one of {', '.join(_OPERATORS)}"
        message = f"'{shown(operator.text)}' is no operator of a routing rule: {_SILENT}"
        yield finding(snippet, operator.line, "bad-route-operator", message, hint)
        return
    fault, hint = "", ""
    text = value.text if isinstance(value, Scalar) and "${" not in value.text else None
    if name in _SETS and isinstance(value, Scalar):
        fault, hint = "needs a list", "write the value as a list"
    elif name not in _SETS and isinstance(value, Listing):
        fault, hint = "takes one value, not a list", "write in or not_in for a list"
    elif name in _NUMERIC and text is not None and double(text) is not None:
        fault, hint = "needs a number", "write a number, without a unit"
    elif name in ("regex", "not_regex") and text is not None and fault_of(text):
        fault, hint = f"needs a regular expression, and {fault_of(text)}", "correct the expression"
    if fault:
        yield finding(snippet, value.line, "bad-route-value", f"the operator {name} {fault}: {_SILENT}", hint)


def _child(group: Group, key: str) -> Node | None:
    return next((entry.value for entry in group.entries if entry.key == key), None)


def _scalar(group: Group, key: str) -> Scalar | None:
    child = _child(group, key)
    return child if isinstance(child, Scalar) else None
