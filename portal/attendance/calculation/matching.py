"""Who was it: ties each stay to learners, to staff or to nobody, by evidence and never by a name alone.

The order: a person's decision on this sheet, the host's own entry, Zoom's registrant id, an exact e-mail
address, a name that a teacher has tied to a learner of this class before. What fits two people fits nobody.
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

# Somebody whose app was killed is shown as in the meeting for another 60 to 90 seconds (Zoom developer
# forum, thread 6498), so the next stay of the same person may begin before the last one ends.
REJOIN_OVERLAP = timedelta(seconds=120)

_ALWAYS = datetime.min.replace(tzinfo=UTC)
_FOREVER = datetime.max.replace(tzinfo=UTC)

# The names that phones and Zoom give by themselves. Shared by half a class, so never worth remembering.
_DEVICE_WORD = re.compile(
    "IPHONE|IPAD|IPOD|MACBOOK|IMAC|ANDROID|PHONE|CELLPHONE|CELL|CP|MOBILE|SMARTPHONE|TABLET|TAB|PAD|OPPO|VIVO|"
    "REALME|SAMSUNG|GALAXY|HUAWEI|XIAOMI|REDMI|POCO|INFINIX|TECNO|ITEL|NOKIA|ONEPLUS|MOTOROLA|XPERIA|ASUS|"
    "ZENFONE|ACER|LENOVO|HP|TOSHIBA|MYPHONE|STARMOBILE|CLOUDFONE|ZTE|WINDOWS|LAPTOP|DESKTOP|COMPUTER|PC|"
    "CHROMEBOOK|SM|CPH|RMX|USER|GUEST|ZOOM|STUDENT|LEARNER|PARTICIPANT|ADMIN|UNKNOWN|.*[0-9].*"
)
# Parts of models that are also what children are called (Cherry, Honor, Max): a device only beside the rest.
_MODEL_WORD = re.compile(
    "APPLE|CHERRY|HONOR|MI|MOTO|GOOGLE|PIXEL|SONY|DELL|FLARE|TORQUE|RENO|HOT|SPARK|CAMON|POVA|NARZO|NOTE|PRO|"
    "MAX|MINI|PLUS|LITE|ULTRA|PRIME|AIR|SMART|GO|SE|GB|RAM|NEO"
)


@dataclass(frozen=True)
class Stay:
    """One person on one device from one join to the leave, in the meeting or in its waiting room.

    `session` is Zoom's id of the participant within the instance; give a breakout room's stay the session
    it came from, so that both count as one device. Times are aware. A missing end of the stay is None.
    `left_source` "ended" says that only the end of the meeting closed it. Of a join that is not known
    `joined_after` may say that it was not before, of a leave `left_before` that it was not after. `lasted`
    is for a stay of which only its length in seconds is known, not when it was.
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
    """A learner enrolled on the date, with the name as LIS writes it ("LAST, FIRST, MIDDLE")."""

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
    """A name, folded, that a teacher has tied to these learners."""

    folded_name: str
    learner_ids: tuple[str, ...]


@dataclass(frozen=True)
class StayMatch:
    """Whom a stay belongs to: `learner_ids` sorted; `user_id` None for a host who is not on the staff list.

    `by` is "teacher", "host", "registration", "email" or "alias", None when unknown. The flag
    "email of another" says that the stay carries the address of somebody else of this class.
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
    """What is known about the device behind a stay, from all stays of its session."""

    registrant: str | None
    email: str | None
    account: str | None
    host: bool
    shown: str

    @cached_property
    def name(self) -> str:
        """The name as it is compared: folded when it is asked for, since few stays are known by their name alone."""
        return fold_name(self.shown)

    @property
    def identity(self) -> tuple[str, str] | None:
        if self.registrant:
            return "registrant", self.registrant
        if self.account:
            return "account", self.account
        return ("email", self.email) if self.email else None


def fold_email(address: str | None) -> str | None:
    """The address as it is compared: trimmed, lower case; None if it is none, or not plain ASCII.

    Some letters outside ASCII turn into ASCII ones in lower case (the Kelvin sign into a k), which would
    make two addresses of two people equal.
    """
    address = (address or "").strip()
    return address.lower() if address.isascii() and "@" in address else None


def is_device_name(name: str) -> bool:
    """Is this what a device or an app calls itself ("OPPO A5s", "iPhone (2)", "Zoom user", a phone number)?

    Such names, and those in which nothing is left to compare, are never remembered as aliases.
    """
    words = name_tokens(name)
    devices = [word for word in words if _DEVICE_WORD.fullmatch(word)]
    models = [word for word in words if _MODEL_WORD.fullmatch(word)]
    return not words or (bool(devices) and len(devices) + len(models) == len(words))


def sort_stays_stably(stays: Iterable[Stay]) -> tuple[Stay, ...]:
    """Each stay once, in one order whatever the order given. Raises ValueError if two share an id."""
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
    """Whom each stay belongs to, by the stay's id; `stays` as `sort_stays_stably` gives them."""
    people = _People(roster, staff)
    clues = _clues(stays)
    decided = _decided(stays, links, people)
    matches = dict(decided)
    for stay in stays:
        if stay.id not in matches and (match := people.recognise(clues[stay.id])):
            matches[stay.id] = match
    matches |= _carried(stays, decided, matches, lambda stay: _same_person(clues[stay.id]))
    matches |= _by_alias(stays, clues, matches, _alias_owners(aliases, people))
    return {stay.id: matches.get(stay.id, StayMatch("unknown")) for stay in stays}


def group_by_person(stays: Sequence[Stay]) -> tuple[tuple[str, tuple[Stay, ...]], ...]:
    """Groups stays that seem to be one person, over all instances: (key, stays), in the order of the stays.

    By registrant, Zoom account, e-mail, else name; two names of one account that were in at the same time
    are two people (siblings), and so are two devices of one name. A device's name never joins two stays.
    """
    clues = _clues(stays)
    groups = _grouped(stays, lambda stay: _person_key(stay, clues[stay.id]))
    split: list[tuple[str, tuple[Stay, ...]]] = []
    for key, members in groups.items():
        if _one_at_a_time(members) or key.startswith("session:"):
            split.append((key, members))
        elif key.startswith("name:"):
            split.extend(_grouped(members, _session_key).items())
        else:
            by_name = _grouped(members, lambda stay: clues[stay.id].name)
            split.extend((f"{key} {name}", named) for name, named in by_name.items())
    return tuple(split)


class _People:
    """The class as an index: who owns which registrant id and which address."""

    def __init__(self, roster: Iterable[RosterLearner], staff: Iterable[StaffMember]) -> None:
        registrants: dict[str, set[_Owner]] = defaultdict(set)
        emails: dict[str, set[_Owner]] = defaultdict(set)
        self.learner_ids: set[str] = set()
        for line in roster:
            self.learner_ids.add(line.learner_id)
            _enter(_Owner("learners", line.learner_id), line, registrants, emails)
        for member in staff:
            _enter(_Owner("staff", member.user_id), member, registrants, emails)
        self._registrants: Mapping[str, set[_Owner]] = dict(registrants)
        self._emails: Mapping[str, set[_Owner]] = dict(emails)

    def recognise(self, clue: _Clue) -> StayMatch | None:
        registered = _only(self._registrants.get(clue.registrant or "", ()))
        mailed = self._emails.get(clue.email or "", set())
        owner = registered or _only(mailed)
        if clue.host:
            known = owner if owner and owner.kind == "staff" else None
            return StayMatch("staff", user_id=known.id if known else None, by="host")
        if registered:
            another = mailed and registered not in mailed
            return registered.match("registration", (RecordFlag.EMAIL_OF_ANOTHER,) if another else ())
        return owner.match("email") if owner else None

    def decision(self, links: Sequence[ManualMatch]) -> StayMatch:
        """What the links of one stay say together; learners who are not enrolled on the date do not count."""
        named = {learner_id for link in links for learner_id in link.learner_ids}
        if named:
            enrolled = tuple(sorted(named & self.learner_ids))
            return StayMatch("learners", learner_ids=enrolled, by="teacher") if enrolled else StayMatch("unknown")
        if any(link.staff for link in links):
            return StayMatch("staff", by="teacher")
        return StayMatch("nobody", by="teacher") if any(link.nobody for link in links) else StayMatch("unknown")


def _enter(
    owner: _Owner,
    line: RosterLearner | StaffMember,
    registrants: dict[str, set[_Owner]],
    emails: dict[str, set[_Owner]],
) -> None:
    for registrant in line.registrant_ids:
        registrants[registrant].add(owner)
    if email := fold_email(line.email):
        emails[email].add(owner)


def _clues(stays: Sequence[Stay]) -> dict[str, _Clue]:
    """One event of a session may lack what another of it carries, so blanks are filled from its siblings."""
    clues: dict[str, _Clue] = {}
    for members in _grouped(stays, _session_key).values():
        registrant = _only({stay.registrant_id for stay in members if stay.registrant_id})
        email = _only({email for stay in members if (email := fold_email(stay.email))})
        account = _only({stay.zoom_user_id for stay in members if stay.zoom_user_id})
        for stay in members:
            clues[stay.id] = _Clue(
                registrant=stay.registrant_id or registrant,
                email=fold_email(stay.email) or email,
                account=stay.zoom_user_id or account,
                host=any(member.is_host for member in members),
                shown=stay.name,
            )
    return clues


def _decided(stays: Sequence[Stay], links: Iterable[ManualMatch], people: _People) -> dict[str, StayMatch]:
    """People's decisions, carried on to the other stays of the same session."""
    by_stay: dict[str, list[ManualMatch]] = defaultdict(list)
    for link in links:
        by_stay[link.stay_id].append(link)
    matches = {stay.id: people.decision(by_stay[stay.id]) for stay in stays if stay.id in by_stay}
    return matches | _carried(stays, matches, matches, _session_key)


def _carried(
    stays: Sequence[Stay],
    decided: Mapping[str, StayMatch],
    matches: Mapping[str, StayMatch],
    key_of: Callable[[Stay], Hashable],
) -> dict[str, StayMatch]:
    """For stays not yet found: what was decided about the others of their kind, if that is one thing."""
    if not decided:
        return {}
    carried: dict[str, StayMatch] = {}
    for key, members in _grouped(stays, key_of).items():
        match = _only({decided[stay.id] for stay in members if stay.id in decided})
        if key is not None and match:
            carried |= {stay.id: match for stay in members if stay.id not in matches}
    return carried


def _same_person(clue: _Clue) -> Hashable:
    """One account under one name: siblings often share an account, but then not the name."""
    return (clue.identity, clue.name) if clue.identity else None


def _alias_owners(aliases: Iterable[ConfirmedAlias], people: _People) -> dict[str, StayMatch]:
    """Folded name to its learners on the roster; a name tied to two sets of learners is tied to none."""
    tied: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for alias in aliases:
        enrolled = tuple(sorted(set(alias.learner_ids) & people.learner_ids))
        if enrolled and not is_device_name(alias.folded_name):
            tied[fold_name(alias.folded_name)].add(enrolled)
    return {
        name: StayMatch("learners", learner_ids=learner_ids, by="alias")
        for name, sets in tied.items()
        if (learner_ids := _only(sets))
    }


def _by_alias(
    stays: Sequence[Stay],
    clues: Mapping[str, _Clue],
    matches: Mapping[str, StayMatch],
    owners: Mapping[str, StayMatch],
) -> dict[str, StayMatch]:
    """Credits a remembered name where only one person of the instance goes by it."""
    if not owners:
        return {}
    credited: dict[str, StayMatch] = {}
    for (_, name), members in _grouped(stays, lambda stay: (stay.instance, clues[stay.id].name)).items():
        owner = owners.get(name)
        if owner is None:
            continue
        strangers = [stay for stay in members if stay.id not in matches]
        others = {matches[stay.id].learner_ids for stay in members if stay.id in matches}
        if others <= {owner.learner_ids} and _one_person(strangers, clues):
            credited |= {stay.id: owner for stay in strangers}
    return credited


def _one_person(stays: Sequence[Stay], clues: Mapping[str, _Clue]) -> bool:
    """Can these stays of one instance under one name be one person: one account, or one device at a time?"""
    identities = {clues[stay.id].identity for stay in stays}
    if len(identities - {None}) > 1:
        return False
    return None not in identities or _one_at_a_time(stays)


def _one_at_a_time(stays: Sequence[Stay]) -> bool:
    """No two sessions of an instance overlap by more than a rejoin explains."""
    for in_instance in _grouped(stays, lambda stay: stay.instance).values():
        spans = sorted(_span(members) for members in _grouped(in_instance, _session_key).values())
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


def _only(values: Iterable[T]) -> T | None:
    """The one value there is; None if there are none or several."""
    items = list(values)
    return items[0] if len(items) == 1 else None


K = TypeVar("K", bound=Hashable)


def _grouped(stays: Iterable[Stay], key_of: Callable[[Stay], K]) -> dict[K, tuple[Stay, ...]]:
    groups: dict[K, list[Stay]] = defaultdict(list)
    for stay in stays:
        groups[key_of(stay)].append(stay)
    return {key: tuple(members) for key, members in groups.items()}
