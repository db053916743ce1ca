"""Notices about runs that ended: the list, what was read, and what people want to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado import web

from mellea_jupyter.handlers.base import ApiHandler, authorized
from mellea_jupyter.handlers.endpoint import endpoint
from mellea_jupyter.handlers.rates import Rate

if TYPE_CHECKING:
    from mellea_jupyter.handlers.parameters import NoticeQuery
    from mellea_jupyter.models.notifications import (
        Notice,
        NoticePage,
        NoticePatch,
        NotificationPreferencesPatch,
        NotificationSettings,
        ReadAllRequest,
        TestMailReply,
        TestMailRequest,
        UnreadCount,
    )


class NoticesHandler(ApiHandler):
    """`/notifications`."""

    @web.authenticated
    @authorized(resource="notifications")
    @endpoint()
    async def get(self, query: NoticeQuery) -> NoticePage:
        """List your notices, unread ones first, the latest first, a page at a time."""
        services = await self.app.services()
        return await services.notices.list(
            self.user, unread_only=query.unread, limit=query.limit, cursor=query.cursor
        )


class ReadAllHandler(ApiHandler):
    """`/notifications/read`."""

    @web.authenticated
    @authorized(resource="notifications")
    @endpoint()
    async def post(self, body: ReadAllRequest | None) -> UnreadCount:
        """Mark your notices as read: all, or those up to a time, so that later ones stay."""
        services = await self.app.services()
        until = None if body is None else body.until
        return await services.notices.mark_all_read(self.user, until=until)


class NoticeHandler(ApiHandler):
    """`/notifications/{notice_id}`."""

    @web.authenticated
    @authorized(resource="notifications")
    @endpoint()
    async def patch(self, notice_id: str, body: NoticePatch) -> Notice:
        """Mark a notice as read or unread."""
        services = await self.app.services()
        return await services.notices.mark(notice_id, self.user, read=body.read)


class PreferencesHandler(ApiHandler):
    """`/users/me/notification-preferences`."""

    @web.authenticated
    @authorized(resource="notifications")
    @endpoint()
    async def get(self) -> NotificationSettings:
        """Read what you want to be told, and whether this server can send mail."""
        services = await self.app.services()
        return await services.notices.settings(self.user)

    @web.authenticated
    @authorized(resource="notifications")
    @endpoint()
    async def patch(self, body: NotificationPreferencesPatch) -> NotificationSettings:
        """Change what you want to be told; what is absent stays."""
        services = await self.app.services()
        return await services.notices.change_preferences(body, self.user)


class TestMailHandler(ApiHandler):
    """`/users/me/notification-preferences/test-mail`."""

    @web.authenticated
    @authorized(resource="notifications")
    @endpoint(errors=(409, 429))
    async def post(self, body: TestMailRequest | None) -> TestMailReply:
        """Send a mail now; 409 says why it could not be sent."""
        self.spend(Rate.TEST_MAILS)
        services = await self.app.services()
        address = None if body is None else body.email_address
        return await services.notices.send_test_mail(self.user, address)
