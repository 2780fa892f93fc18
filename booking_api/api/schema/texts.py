"""What people read in the schema: sentences, by what they are about. Nothing here decides anything.

A field means the same wherever it stands, so each is described once, by its name; where an endpoint
has more to say, its serializer's `help_text` does.
"""

from __future__ import annotations

import re
from typing import Any

ABOUT = """\
Students see, book, change and cancel seats in mock exams; HubSpot holds the truth.

**Who is asking.** A student is the pair `student_id` and `email`; both must be the same contact's
on every request. Staff use a session of the administration or a token, a scheduler its secret.

**Answers.** A success is `{"success": true, "message", "data"}`. An error, whatever its cause, is
`{"success": false, "error", "code", "request_id"}`: `error` is a sentence for a person, `code` is
for programs, and each answer below lists exactly the codes it can have. `validationErrors` has a
sentence for each field, `retryAfter` the seconds after which asking again makes sense.

**Requests.** Every answer has an `X-Request-ID`; one that you send is taken over if it has at most
128 letters, digits, dots, hyphens and underscores. Addresses end without a slash. Bodies are JSON.
"""

TAGS = {
    "Bookings": "A student's own bookings: list, book, see, change, cancel.",
    "Mock exams": "Which exams can be booked, and what a student may spend.",
    "Capacity": "Counting seats again and correcting what is stored, for a scheduler or staff.",
    "Webhooks": "What HubSpot tells of changes, signed by it.",
    "Cache": "The cache's numbers, removing entries, comparing it with HubSpot, for staff.",
    "Monitoring": "Whether the service is alive and ready, for monitors.",
}

SECURITY = {
    "cronSecret": "The scheduler's: `Authorization: Bearer`, and the secret that CRON_SECRET sets.",
    "tokenAuth": "A token of a user who is staff: `Authorization: Token`, and the token.",
    "cookieAuth": "The session of a user who is staff, from the administration's login. Whatever "
    "is no GET needs the header `X-CSRFToken` besides.",
}

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "Names this request in the logs: the caller's own, if it sent a sane one.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
        "example": "0f8a2c71d9b44e6c8f3f5f1f0e6b7a90",
    },
    "Server-Timing": {
        "description": "What the request cost: calls to HubSpot, and what the cache did. Not sent "
        "to whoever could not prove who they are.",
        "schema": {"type": "string"},
        "example": 'hubspot;desc="0 calls";dur=0.0, cache;desc="hit"',
    },
    "ETag": {
        "description": "Names this answer; weak where the answer is compressed. Sent again as "
        "`If-None-Match`, it saves the answer while that stays the same.",
        "required": True,
        "schema": {"type": "string", "pattern": '^(W/)?"[0-9a-f]{32}"$'},
        "example": '"0f8a2c71d9b44e6c8f3f5f1f0e6b7a90"',
    },
    "Retry-After": {
        "description": "Seconds after which asking again makes sense.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "example": 5,
    },
}

ANSWERS = {
    "200": "Done.",
    "201": "Booked.",
    "304": "The answer that `If-None-Match` names still holds; nothing is sent.",
    "400": "What was sent cannot be accepted; `error` says why.",
    "401": "Who is asking could not be proved.",
    "403": "Whoever is asking may not do this.",
    "404": "What is asked for is not there.",
    "405": "The id is the name of another address, which knows other methods.",
    "406": "The `Accept` header takes no JSON.",
    "408": "The body did not come in time.",
    "409": "What is asked for is done already, or being done.",
    "411": "A body has to say how long it is.",
    "413": "The body is too large.",
    "415": "The body is no `application/json`.",
    "422": "The idempotency key was used for another request.",
    "429": "Too many requests.",
    "500": "Something went wrong on our side; it has been reported.",
    "503": "Something that is needed does not answer, or too much is under way.",
}

FIELDS = {
    "student_id": "The student's id; lower case and blanks around it do not matter.",
    "email": "The student's e-mail; upper and lower case do not matter.",
    "id": "The record's id in HubSpot.",
    "booking_id": "What the booking is called: its record id in HubSpot, or the readable one.",
    "booking_number": "The same as `booking_id`.",
    "booking_record_id": "The booking's record id in HubSpot; addresses take it.",
    "contact_id": "The student's record id in HubSpot, as `validateCredits` answers it.",
    "mock_exam_id": "The exam's record id in HubSpot.",
    "name": "The student's name.",
    "reason": "Why, in the caller's words.",
    "mock_type": "The kind of mock exam, as the portal spells it.",
    "exam_date": "The day of the exam, where it takes place.",
    "location": "Where the exam takes place.",
    "start_time": "When the exam begins.",
    "end_time": "When the exam ends; earlier than its start is after midnight.",
    "capacity": "How many seats the exam has.",
    "total_bookings": "How many bookings there are.",
    "available_slots": "How many seats are free.",
    "dominant_hand": "The hand the student works with, where the mock type asks for it.",
    "attending_location": "Where the student sits the exam, where the mock type asks for it.",
    "is_active": "Whether the exam can be booked, or the booking stands.",
    "status": "Its state now.",
    "created_at": "When it was made.",
    "updated_at": "When it was last changed.",
    "cancelled_at": "When it was cancelled.",
    "filter": "Which bookings.",
    "limit": "How many on a page.",
    "total_pages": "How many pages there are.",
    "has_next": "Whether a page follows.",
    "has_previous": "Whether a page comes before.",
    "hasMore": "The same as `has_next`.",
    "next": "The cursor of the page that follows, for `after`; null on the last.",
    "credits": "What is left, by the name of the credit.",
    "credit_type": "The name of the credit.",
    "new_balance": "How many of it the student has now.",
    "confirmation_message": "A sentence to show to the student.",
    "idempotency_key": "The key of the request, the caller's or a new one.",
    "eligible": "Whether the student can book.",
    "available_credits": "How many can be spent on this mock type, shared ones among them.",
    "enrollment_id": "The student's present enrollment.",
    "student_name": "The student's name, or `Student`.",
    "mock_exam_ids": "The exams' record ids in HubSpot.",
    "dry_run": "Count, and change nothing.",
    "repair": "Whether what drifted is corrected in the cache.",
    "keys": "Entries, each by its whole key.",
    "pattern": "Entries, by a key with `*` in it.",
    "family": "One kind of entry.",
    "service": "What answers.",
    "timestamp": "Now.",
    "success": "Whether it was done.",
    "message": "A sentence for a person.",
}

COMPONENTS = {
    "Exam": "A mock exam.",
    "ListedExam": "The exam of a listed booking, with `is_active` as a text.",
    "ListedBooking": "A booking in the list, with its exam.",
    "Pagination": "Which page this is; the older names and the newer say the same.",
    "BookingList": "A page of bookings, and the credits left.",
    "Booking": "A booking.",
    "Contact": "The student, as HubSpot knows them.",
    "Enrollment": "The student's enrollment.",
    "BookingDetail": "A booking with its exam, its student and their enrollment.",
    "ExamDetails": "The exam that was booked.",
    "SpentBreakdown": "Credits before one was charged.",
    "CreditDetails": "Which credit was charged, and what is left of it.",
    "Association": "A link in HubSpot.",
    "Associations": "The booking's links in HubSpot.",
    "Booked": "The booking that was made.",
    "Actions": "What was done.",
    "Restoration": "The credit that was given back.",
    "Canceled": "The booking that was cancelled.",
    "AvailableExam": "An exam that can be booked, with its seats.",
    "CreditBreakdown": "The mock type's own credits, and shared ones.",
    "CreditCheck": "What a student may spend on a mock type.",
    "Summary": "How many exams were counted, and what came of it.",
    "Correction": "An exam whose stored count was not right.",
    "Unchanged": "An exam whose stored count was right.",
    "Failed": "An exam that could not be counted.",
    "Results": "Each exam, by what came of it.",
    "Sync": "What was counted and corrected.",
    "Counts": "How often something was found, and how often not.",
    "Stats": "The cache in numbers.",
    "Invalidated": "What was removed.",
    "Compared": "How many entries were compared, and what came of it.",
    "Drift": "An entry that was not what HubSpot says.",
    "Report": "What a comparison with HubSpot found.",
    "Health": "That the process answers.",
    "Ready": "Whether everything needed answers.",
    "CreateRequest": "A seat wanted.",
    "UpdateRequest": "New values for what a student may edit.",
    "CancelRequest": "Who cancels, and why.",
    "CreditsRequest": "Whose credits, and for which mock type.",
    "SyncRequest": "Which exams to count.",
    "InvalidateRequest": "What is to go: exactly one of these.",
    "ValidateRequest": "What to compare.",
}
ANSWER = re.compile(r"(?P<operation>\w+)Answer")
ERROR = re.compile(r"\w+Error(?P<status>\d{3})?")


def describe_component(name: str) -> str:
    """Return what a component of the schema is, in words; raise KeyError for an unknown one."""
    if name in COMPONENTS:
        return COMPONENTS[name]
    if ANSWER.fullmatch(name):
        return "A success."
    match = ERROR.fullmatch(name)
    if match is None:
        raise KeyError(name)
    return ANSWERS.get(match["status"] or "", "An error.")
