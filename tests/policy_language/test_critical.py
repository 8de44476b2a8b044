"""`critical`: of such an action nothing is said by whoever may have missed a revocation."""

import pytest

from stepup.domain.errors import PolicyInvalidError
from stepup.domain.ids import ActionName
from stepup.policy_language import document

TEXT = "apiVersion: stepup/v1\nactions:\n  pay:\n    default: {level: phr}\n"


@pytest.mark.parametrize(
    ("line", "critical"), [("", False), ("critical: true", True), ("critical: false", False)]
)
def test_an_action_is_critical_when_it_says_so(line: str, critical: bool):
    policy = document.parse(f"{TEXT}    {line}\n", version=1)
    assert policy.find(ActionName("pay")).critical is critical


def test_it_is_true_or_false():
    with pytest.raises(PolicyInvalidError) as caught:
        document.parse(f"{TEXT}    critical: often\n", version=1)
    assert any("critical" in finding.message for finding in caught.value.findings)
