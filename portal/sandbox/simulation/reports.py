"""Reports on ended meetings: instances, participants, summaries."""

from datetime import datetime, timedelta

from portal.sandbox.api.times import format_timestamp
from portal.sandbox.simulation.errors import ZoomApiError, meeting_not_found
from portal.sandbox.simulation.models import (
    JSON,
    SimulatedInstance,
    SimulatedMeeting,
    SimulatedStay,
)
from portal.sandbox.simulation.running_meetings import (
    BEFORE_HOST,
    IN_BREAKOUT,
    IN_MEETING,
    IN_WAITING_ROOM,
    RunningMeetings,
)

A_YEAR = timedelta(days=365)
FIFTEEN_MONTHS = timedelta(days=456)
TOO_OLD = "Can not access a meeting a year ago."


class ReportService(RunningMeetings):
    """Layer of the simulation: reports."""

    def past(self, name: str) -> tuple[SimulatedMeeting, SimulatedInstance]:
        """The ended instance with that uuid; for a meeting id the latest ended one.

        :raises ZoomApiError: 404/3001 if unknown, still running or not processed yet; 400/12702 over a year ago.
        """
        with self.lock:
            instance = self.instances.get(name)
            ended = [one for one in ([instance] if instance else self.instances_of(name)) if not one.running]
            if not ended:
                raise ZoomApiError(404, 3001, f"Meeting {name} not found or has expired.")
            latest = max(ended, key=lambda one: (one.end_time or one.start_time, one.nth))
            if self._time_since_end(latest) < self.switches.report_delay:
                raise ZoomApiError(404, 3001, f"Meeting {name} not found or has expired.")
            if self.now() - latest.start_time > A_YEAR:
                raise ZoomApiError(400, 12702, TOO_OLD)
            return self.meetings[latest.meeting_id], latest

    def _time_since_end(self, instance: SimulatedInstance) -> timedelta:
        return self.now() - (instance.ended_really_at or self.now())

    def past_instances(self, meeting_id: str) -> list[JSON]:
        """The ended instances of the last fifteen months; Zoom does not promise an order (here: newest first).

        :raises ZoomApiError: 404/3001 for an unknown meeting.
        """
        with self.lock:
            if meeting_id not in self.meetings:
                raise meeting_not_found(meeting_id)
            since = self.now() - FIFTEEN_MONTHS
            ended = [one for one in self.instances_of(meeting_id) if not one.running and one.start_time > since]
            return [{"uuid": one.uuid, "start_time": format_timestamp(one.start_time)} for one in reversed(ended)]

    def past_meeting(self, name: str) -> JSON:
        """GET /past_meetings/{id}: summary of one ended instance.

        :raises ZoomApiError: as `past`.
        """
        with self.lock:
            meeting, instance = self.past(name)
            host = self.users[meeting.host_id]
            rows = self._report_stays(instance)
            assert instance.end_time is not None
            return {
                "id": int(meeting.id),
                "uuid": instance.uuid,
                "host_id": host.id,
                "dept": "",
                "topic": meeting.topic,
                "type": meeting.type,
                "source": "Zoom",
                "user_name": host.name,
                "user_email": host.email,
                "start_time": format_timestamp(instance.start_time),
                "end_time": format_timestamp(instance.end_time),
                "duration": _round_up_minutes(instance.end_time - instance.start_time),
                "total_minutes": sum(-(-row.seconds(instance.end_time) // 60) for row in rows),
                "participants_count": len({row.person for row in rows}),
                "has_meeting_summary": False,
            }

    def report_meeting(self, name: str) -> JSON:
        """GET /report/meetings/{id}.

        :raises ZoomApiError: as `past`; 400/200 on a free plan.
        """
        with self.lock:
            self._require_paid_plan("No permission.")
            meeting, _ = self.past(name)
            report = self.past_meeting(name)
            return report | {"custom_keys": [], "tracking_fields": meeting.tracking_fields}

    def past_participants(self, name: str) -> list[JSON]:
        """GET /past_meetings/{id}/participants: rows as in the report, always with the registrant.

        :raises ZoomApiError: as `past`; 400/200 on a free plan.
        """
        with self.lock:
            self._require_paid_plan(f"Only available for paid account: {self.account_id}.")
            _, instance = self.past(name)
            return [
                self._row_json(stay, instance)
                | {
                    "registrant_id": stay.registrant_id,
                    "internal_user": bool(stay.zoom_user_id),
                }
                for stay in self._report_stays(instance)
            ]

    def report_participants(self, name: str, include_fields: str = "") -> list[JSON]:
        """GET /report/meetings/{id}/participants: one row per session, waiting and breakout rooms included.

        :param include_fields: `registrant_id` adds it; without, rows do not have it.
        :raises ZoomApiError: as `past`; 400/200 on a free plan.
        """
        with self.lock:
            self._require_paid_plan("No permission.")
            _, instance = self.past(name)
            with_registrant = "registrant_id" in include_fields.split(",")
            rows = []
            for stay in self._report_stays(instance):
                row = self._row_json(stay, instance) | {
                    "participant_user_id": stay.zoom_user_id,
                    "customer_key": stay.customer_key,
                    "bo_mtg_id": stay.room_uuid,
                }
                rows.append(row | {"registrant_id": stay.registrant_id} if with_registrant else row)
            return rows

    def _require_paid_plan(self, message: str) -> None:
        if self.limits.plan == "free":
            raise ZoomApiError(400, 200, message)

    def _report_stays(self, instance: SimulatedInstance) -> list[SimulatedStay]:
        """The sessions of an instance; none if only one person was ever in (Zoom's rule)."""
        stays = [one for one in self.stays_of(instance.meeting_id, instance.uuid) if one.where != BEFORE_HOST]
        people = {one.person for one in stays if one.where in (IN_MEETING, IN_BREAKOUT)}
        return stays if len(people) > 1 else []

    def _row_json(self, stay: SimulatedStay, instance: SimulatedInstance) -> JSON:
        is_processing = self._time_since_end(instance) < self.switches.report_delay + self.switches.report_zero_for
        leave_time: datetime | None = stay.leave_time
        return {
            "id": stay.zoom_user_id,
            "user_id": stay.user_id,
            "name": stay.name,
            "user_email": stay.email,
            "join_time": format_timestamp(stay.join_time),
            "leave_time": "" if is_processing else format_timestamp(leave_time),
            "duration": 0 if is_processing or leave_time is None else stay.seconds(leave_time),
            "failover": False,
            "status": "in_waiting_room" if stay.where == IN_WAITING_ROOM else "in_meeting",
        }


def _round_up_minutes(length: timedelta) -> int:
    return -(-int(length.total_seconds()) // 60)
