"""The booking desk: the one writer of bookings, credits and counts.

docs/decisions/0008-booking-desk.md says why it is built so.
"""
