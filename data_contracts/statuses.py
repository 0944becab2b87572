"""The hub's status codes (Sellercloud's enum tables). Compare numbers; show names."""

from __future__ import annotations

from enum import IntEnum


class OrderStatus(IntEnum):
    """OrderStatusCode."""

    Canceled = -1
    ShoppingCart = 1
    InProcess = 2
    Completed = 3
    ProblemOrder = 100
    OnHold = 200
    Quote = 300
    Void = 999


class PaymentStatus(IntEnum):
    """OrderPaymentStatus. `Charged` means paid as the customer sees it."""

    NoPayment = 10
    Authorized = 20
    Charged = 30
    Uncleared = 40
    PartiallyRefund = 50
    FullRefund = 60
    PartialPayment = 70
    PaymentError = 99


class ShippingStatus(IntEnum):
    """OrderShippingStatus."""

    Unknown = 0
    Unshipped = 1
    PartiallyShipped = 2
    FullyShipped = 3
    ReadyForPickup = 4


class Channel(IntEnum):
    """OrderSource, the ones an installation is likely to write."""

    Local_Store = 0
    Website = 6
    RMS = 17
    Wholesale = 21


class PaymentMethod(IntEnum):
    """PaymentMethod. Tickets are booked as cash; the real tenders are kept beside the payment."""

    CreditCard = 1
    Check = 3
    Cash = 4
    GiftCertificate = 5
    Other = 6


class PaymentType(IntEnum):
    """PaymentType of a payment record."""

    Information = 1
    Payment = 2
    Refund = 3


ORDER_TYPES = ("retail", "wholesale")
TICKET_KINDS = ("sale", "return", "exchange", "void", "pickup")
"""What a ticket can mean; the hub derives it from the raw RMS codes (`data_contracts.meaning`)."""
