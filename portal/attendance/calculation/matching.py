"""Matching: assigns each stay to learners, to staff or to nobody, by evidence and never by a name alone.

The order of precedence: a manual match, the host's own entry, Zoom's registrant id, an exact e-mail address, a
confirmed alias. Evidence that fits two people matches neither.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Literal, TypeVar

from portal.attendance.codes import RecordFlag
from portal.classes.lis_names import fold_name, name_tokens

T = TypeVar("T")

# After its app was killed, a participant is shown in the meeting for another 60 to 90 seconds (Zoom developer
# forum, thread 6498), so the person's next stay may begin before the last one ends.
REJOIN_OVERLAP = timedelta(seconds=120)

_ALWAYS = datetime.min.replace(tzinfo=UTC)
_FOREVER = datetime.max.replace(tzinfo=UTC)

# Default names of devices and of Zoom: shared by half a class, so never stored as aliases.
_DEVICE_WORD = re.compile(
    "IPHONE|IPAD|IPOD|MACBOOK|IMAC|ANDROID|PHONE|CELLPHONE|CELL|CP|MOBILE|SMARTPHONE|TABLET|TAB|PAD|OPPO|VIVO|"
    "REALME|SAMSUNG|GALAXY|HUAWEI|XIAOMI|REDMI|POCO|INFINIX|TECNO|ITEL|NOKIA|ONEPLUS|MOTOROLA|XPERIA|ASUS|"
    "ZENFONE|ACER|LENOVO|HP|TOSHIBA|MYPHONE|STARMOBILE|CLOUDFONE|ZTE|WINDOWS|LAPTOP|DESKTOP|COMPUTER|PC|"
    "CHROMEBOOK|SM|CPH|RMX|USER|GUEST|ZOOM|STUDENT|LEARNER|PARTICIPANT|ADMIN|UNKNOWN|.*[0-9].*"
)
# Model names that are also given names (Cherry, Honor, Max): a device only together with other device words.
_MODEL_WORD = re.compile(
    "APPLE|CHERRY|HONOR|MI|MOTO|GOOGLE|PIXEL|SONY|DELL|FLARE|TORQUE|RENO|HOT|SPARK|CAMON|POVA|NARZO|NOTE|PRO|"
    "MAX|MINI|PLUS|LITE|ULTRA|PRIME|AIR|SMART|GO|SE|GB|RAM|NEO"
)


@dataclass(frozen=True)
class Stay:
    """One person on one device from one join to the leave, in the meeting or in its waiting room.

    `session` is Zoom's id of the participant within the instance; a breakout-room stay has the session it came from, so
    that both count as one device. Times are aware; an unknown one is None. `leave_source` "ended": only the end of
    the meeting closed the stay. `joined_after` and `left_before` are bounds of an unknown join or leave. `lasted` is
    the length in seconds of a stay whose times are unknown.
    """

    id: str
    instance: str
    session: str
    registrant_id: str | None
    email: str | None
    zoom_user_id: str | None
    name: str
    joined_at: datetime | None
    left_at: datetime | None
    room: Literal["meeting", "waiting"]
    source: Literal["webhook", "report", "csv"]
    leave_source: Literal["event", "ended", "report", "csv"] | None
    is_host: bool
    breakout: bool = False
    joined_after: datetime | None = None
    left_before: datetime | None = None
    lasted: int | None = None


@dataclass(frozen=True)
class RosterLearner:
    """A learner enrolled on the date, with the name in LIS format ("LAST, FIRST, MIDDLE")."""

    learner_id: str
    registrant_ids: frozenset[str]
    email: str | None
    name: str


@dataclass(frozen=True)
class StaffMember:
    """A teacher or co-teacher of the class."""

    user_id: str
    registrant_ids: frozenset[str]
    email: str | None
    names: tuple[str, ...]


@dataclass(frozen=True)
class ManualMatch:
    """A person's decision about one stay: these learners, or staff, or nobody of this class."""

    stay_id: str
    learner_ids: tuple[str, ...]
    staff: bool
    nobody: bool


@dataclass(frozen=True)
class ConfirmedAlias:
    """A folded name that a teacher has matched to these learners."""

    folded_name: str
    learner_ids: tuple[str, ...]


@dataclass(frozen=True)
class StayMatch:
    """The match of a stay: `learner_ids` sorted; `user_id` None for a host who is not on the staff list.

    `by` is "teacher", "host", "registration", "email" or "alias", None if unknown. The flag `EMAIL_OF_ANOTHER` means
    that the stay has the address of another person of this class.
    """

    kind: Literal["learners", "staff", "nobody", "unknown"]
    learner_ids: tuple[str, ...] = ()
    user_id: str | None = None
    by: str | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Owner:
    kind: Literal["learners", "staff"]
    id: str

    def match(self, by: str, flags: tuple[str, ...] = ()) -> StayMatch:
        if self.kind == "learners":
            return StayMatch("learners", learner_ids=(self.id,), by=by, flags=flags)
        return StayMatch("staff", user_id=self.id, by=by, flags=flags)


@dataclass(frozen=True)
class _Clue:
    """The evidence about the device of a stay, from all stays of its session."""

    registrant: str | None
    email: str | None
    account: str | None
    host: bool
    shown: str

    @cached_property
    def name(self) -> str:
        """The folded name, computed lazily: few stays are matched by their name alone."""
        return fold_name(self.shown)

    @property
    def identity(self) -> tuple[str, str] | None:
        if self.registrant:
            return "registrant", self.registrant
        if self.account:
            return "account", self.account
        return ("email", self.email) if self.email else None


def fold_email(address: str | None) -> str | None:
    """The address normalised for comparison: trimmed, lower case; None if it is no address, or not plain ASCII.

    Some non-ASCII letters become ASCII ones in lower case (the Kelvin sign becomes k), which would make two
    people's addresses equal.
    """
    address = (address or "").strip()
    return address.lower() if address.isascii() and "@" in address else None


def is_device_name(name: str) -> bool:
    """True for the default name of a device or an app ("OPPO A5s", "iPhone (2)", "Zoom user", a phone number).

    Such names, and names without any comparable word, are never stored as aliases.
    """
    words = name_tokens(name)
    devices = [word for word in words if _DEVICE_WORD.fullmatch(word)]
    models = [word for word in words if _MODEL_WORD.fullmatch(word)]
    return not words or (bool(devices) and len(devices) + len(models) == len(words))


def sort_stays_stably(stays: Iterable[Stay]) -> tuple[Stay, ...]:
    """Each stay once, in an order independent of the input's. Raises ValueError if two stays share an id."""
    by_id: dict[str, Stay] = {}
    for stay in stays:
        if by_id.setdefault(stay.id, stay) != stay:
            raise ValueError(f"two different stays are called {stay.id}")
    return tuple(sorted(by_id.values(), key=lambda stay: (stay.joined_at or stay.left_at or _ALWAYS, stay.id)))


def match_stays_to_people(
    stays: Sequence[Stay],
    *,
    roster: Iterable[RosterLearner],
    staff: Iterable[StaffMember] = (),
    links: Iterable[ManualMatch] = (),
    aliases: Iterable[ConfirmedAlias] = (),
) -> dict[str, StayMatch]:
    """The match of each stay, by the stay's id; `stays` as `sort_stays_stably` returns them."""
    people = _People(roster, staff)
    clues = _collect_clues(stays)
    manual_matches = _manual_matches(stays, links, people)
    matches = dict(manual_matches)
    for stay in stays:
        if stay.id not in matches and (match := people.recognise(clues[stay.id])):
            matches[stay.id] = match
    matches |= _propagate_matches(stays, manual_matches, matches, lambda stay: _account_and_name(clues[stay.id]))
    matches |= _alias_matches(stays, clues, matches, _alias_owners(aliases, people))
    return {stay.id: matches.get(stay.id, StayMatch("unknown")) for stay in stays}


def group_by_person(stays: Sequence[Stay]) -> tuple[tuple[str, tuple[Stay, ...]], ...]:
    """Group stays that seem to be one person, over all instances: (key, stays), in the order of the stays.

    By registrant, Zoom account, e-mail, else name; two names of one account with overlapping stays are two people
    (siblings), and so are two devices of one name. A device name never joins two stays.
    """
    clues = _collect_clues(stays)
    groups = _group_by(stays, lambda stay: _person_key(stay, clues[stay.id]))
    people: list[tuple[str, tuple[Stay, ...]]] = []
    for key, members in groups.items():
        if _has_no_overlap(members) or key.startswith("session:"):
            people.append((key, members))
        elif key.startswith("name:"):
            people.extend(_group_by(members, _session_key).items())
        else:
            by_name = _group_by(members, lambda stay: clues[stay.id].name)
            people.extend((f"{key} {name}", name_stays) for name, name_stays in by_name.items())
    return tuple(people)


class _People:
    """Index of the class: the owners of each registrant id and each address."""

    def __init__(self, roster: Iterable[RosterLearner], staff: Iterable[StaffMember]) -> None:
        registrants: dict[str, set[_Owner]] = defaultdict(set)
        emails: dict[str, set[_Owner]] = defaultdict(set)
        self.learner_ids: set[str] = set()
        for learner in roster:
            self.learner_ids.add(learner.learner_id)
            _index_person(_Owner("learners", learner.learner_id), learner, registrants, emails)
        for member in staff:
            _index_person(_Owner("staff", member.user_id), member, registrants, emails)
        self._registrants: Mapping[str, set[_Owner]] = dict(registrants)
        self._emails: Mapping[str, set[_Owner]] = dict(emails)

    def recognise(self, clue: _Clue) -> StayMatch | None:
        registered_owner = _single(self._registrants.get(clue.registrant or "", ()))
        email_owners = self._emails.get(clue.email or "", set())
        owner = registered_owner or _single(email_owners)
        if clue.host:
            staff_owner = owner if owner and owner.kind == "staff" else None
            return StayMatch("staff", user_id=staff_owner.id if staff_owner else None, by="host")
        if registered_owner:
            is_email_of_another = email_owners and registered_owner not in email_owners
            return registered_owner.match("registration", (RecordFlag.EMAIL_OF_ANOTHER,) if is_email_of_another else ())
        return owner.match("email") if owner else None

    def decision(self, links: Sequence[ManualMatch]) -> StayMatch:
        """The combined decision of a stay's manual matches; learners not enrolled on the date are ignored."""
        learner_ids = {learner_id for link in links for learner_id in link.learner_ids}
        if learner_ids:
            enrolled = tuple(sorted(learner_ids & self.learner_ids))
            return StayMatch("learners", learner_ids=enrolled, by="teacher") if enrolled else StayMatch("unknown")
        if any(link.staff for link in links):
            return StayMatch("staff", by="teacher")
        return StayMatch("nobody", by="teacher") if any(link.nobody for link in links) else StayMatch("unknown")


def _index_person(
    owner: _Owner,
    person: RosterLearner | StaffMember,
    registrants: dict[str, set[_Owner]],
    emails: dict[str, set[_Owner]],
) -> None:
    for registrant in person.registrant_ids:
        registrants[registrant].add(owner)
    if email := fold_email(person.email):
        emails[email].add(owner)


def _collect_clues(stays: Sequence[Stay]) -> dict[str, _Clue]:
    """One event of a session may lack a field that another one has, so blanks are filled within the session."""
    clues: dict[str, _Clue] = {}
    for members in _group_by(stays, _session_key).values():
        registrant = _single({stay.registrant_id for stay in members if stay.registrant_id})
        email = _single({email for stay in members if (email := fold_email(stay.email))})
        account = _single({stay.zoom_user_id for stay in members if stay.zoom_user_id})
        for stay in members:
            clues[stay.id] = _Clue(
                registrant=stay.registrant_id or registrant,
                email=fold_email(stay.email) or email,
                account=stay.zoom_user_id or account,
                host=any(member.is_host for member in members),
                shown=stay.name,
            )
    return clues


def _manual_matches(stays: Sequence[Stay], links: Iterable[ManualMatch], people: _People) -> dict[str, StayMatch]:
    """Manual matches, extended to the other stays of the same session."""
    by_stay: dict[str, list[ManualMatch]] = defaultdict(list)
    for link in links:
        by_stay[link.stay_id].append(link)
    matches = {stay.id: people.decision(by_stay[stay.id]) for stay in stays if stay.id in by_stay}
    return matches | _propagate_matches(stays, matches, matches, _session_key)


def _propagate_matches(
    stays: Sequence[Stay],
    decided: Mapping[str, StayMatch],
    matches: Mapping[str, StayMatch],
    key_of: Callable[[Stay], Hashable],
) -> dict[str, StayMatch]:
    """Propagate decisions to unmatched stays with the same key, if the decisions of that key agree."""
    if not decided:
        return {}
    propagated: dict[str, StayMatch] = {}
    for key, members in _group_by(stays, key_of).items():
        match = _single({decided[stay.id] for stay in members if stay.id in decided})
        if key is not None and match:
            propagated |= {stay.id: match for stay in members if stay.id not in matches}
    return propagated


def _account_and_name(clue: _Clue) -> Hashable:
    """Same account and same name: siblings often share an account, but then not the name."""
    return (clue.identity, clue.name) if clue.identity else None


def _alias_owners(aliases: Iterable[ConfirmedAlias], people: _People) -> dict[str, StayMatch]:
    """Folded name to its learners on the roster; a name with two different sets is left out as ambiguous."""
    learner_sets: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for alias in aliases:
        enrolled = tuple(sorted(set(alias.learner_ids) & people.learner_ids))
        if enrolled and not is_device_name(alias.folded_name):
            learner_sets[fold_name(alias.folded_name)].add(enrolled)
    return {
        name: StayMatch("learners", learner_ids=learner_ids, by="alias")
        for name, candidates in learner_sets.items()
        if (learner_ids := _single(candidates))
    }


def _alias_matches(
    stays: Sequence[Stay],
    clues: Mapping[str, _Clue],
    matches: Mapping[str, StayMatch],
    owners: Mapping[str, StayMatch],
) -> dict[str, StayMatch]:
    """Match by alias where only one person of the instance uses the name."""
    if not owners:
        return {}
    alias_matches: dict[str, StayMatch] = {}
    for (_, name), members in _group_by(stays, lambda stay: (stay.instance, clues[stay.id].name)).items():
        owner = owners.get(name)
        if owner is None:
            continue
        unmatched = [stay for stay in members if stay.id not in matches]
        matched_learner_sets = {matches[stay.id].learner_ids for stay in members if stay.id in matches}
        if matched_learner_sets <= {owner.learner_ids} and _can_be_one_person(unmatched, clues):
            alias_matches |= {stay.id: owner for stay in unmatched}
    return alias_matches


def _can_be_one_person(stays: Sequence[Stay], clues: Mapping[str, _Clue]) -> bool:
    """True if these stays of one instance and one name can be one person: one account, or one device at a time."""
    identities = {clues[stay.id].identity for stay in stays}
    if len(identities - {None}) > 1:
        return False
    return None not in identities or _has_no_overlap(stays)


def _has_no_overlap(stays: Sequence[Stay]) -> bool:
    """True if no two sessions of an instance overlap by more than a rejoin explains."""
    for instance_stays in _group_by(stays, lambda stay: stay.instance).values():
        spans = sorted(_span(members) for members in _group_by(instance_stays, _session_key).values())
        busy_until = _ALWAYS
        for start, end in spans:
            if start + REJOIN_OVERLAP < busy_until:
                return False
            busy_until = max(busy_until, end)
    return True


def _span(stays: Sequence[Stay]) -> tuple[datetime, datetime]:
    starts = [stay.joined_at or _ALWAYS for stay in stays]
    ends = [stay.left_at or _FOREVER for stay in stays]
    return min(starts), max(ends)


def _person_key(stay: Stay, clue: _Clue) -> str:
    if clue.identity:
        return ":".join(clue.identity)
    return _session_key(stay) if is_device_name(stay.name) else f"name:{clue.name}"


def _session_key(stay: Stay) -> str:
    return f"session:{stay.instance} {stay.session}"


def _single(values: Iterable[T]) -> T | None:
    """The single value; None if there are none or several."""
    items = list(values)
    return items[0] if len(items) == 1 else None


K = TypeVar("K", bound=Hashable)


def _group_by(stays: Iterable[Stay], key_of: Callable[[Stay], K]) -> dict[K, tuple[Stay, ...]]:
    groups: dict[K, list[Stay]] = defaultdict(list)
    for stay in stays:
        groups[key_of(stay)].append(stay)
    return {key: tuple(members) for key, members in groups.items()}
