"""Why a WebAuthn response was refused: stable words for logs, metrics and the browser module."""

from enum import StrEnum


class Refusal(StrEnum):
    """The reasons, each the `detail` of a `VerificationFailedError`.

    The subject reads none of them: to whoever forges a response they would be a manual.
    """

    MALFORMED = "webauthn_malformed"
    WRONG_TYPE = "webauthn_wrong_type"
    CHALLENGE = "webauthn_challenge_mismatch"
    ORIGIN = "webauthn_origin_mismatch"
    CROSS_ORIGIN = "webauthn_cross_origin"
    TOP_ORIGIN = "webauthn_top_origin"
    UNKNOWN_CREDENTIAL = "webauthn_unknown_credential"
    CREDENTIAL_ID = "webauthn_credential_id"
    USER_HANDLE = "webauthn_user_handle_mismatch"
    RP_ID = "webauthn_rp_id_mismatch"
    NOT_PRESENT = "webauthn_user_not_present"
    NOT_VERIFIED = "webauthn_user_not_verified"
    BACKUP_STATE = "webauthn_backed_up_but_not_eligible"
    BACKUP_ELIGIBILITY = "webauthn_backup_eligibility_changed"
    ALGORITHM = "webauthn_algorithm_not_offered"
    ATTESTATION = "webauthn_attestation_not_verified"
    SIGNATURE = "webauthn_signature"
    SIGN_COUNT = "webauthn_sign_count_regressed"
