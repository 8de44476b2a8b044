"""What a request for a status list can be refused for."""

from stepup.domain.errors import StepUpError


class StatusListNotFoundError(StepUpError):
    """There is no such list, or the last token in it has expired."""

    code = "status_list_not_found"
    message = "There is no such status list."


class StatusFormNotAcceptableError(StepUpError):
    """The caller accepts no form that lists are published in."""

    code = "status_form_not_acceptable"
    message = "Status lists are published as application/statuslist+jwt."


class HistoricalStatusError(StepUpError):
    """The caller asks what a list said in the past (Token Status List 8.4)."""

    code = "historical_status"
    message = "What a list said in the past is not kept."
