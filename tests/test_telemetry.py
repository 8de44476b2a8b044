import os
import subprocess
import sys

from stepup import telemetry

WORKER = """
from stepup import telemetry
telemetry.policy_version.set({version})
telemetry.redemptions_total.labels("granted").inc()
print(telemetry.render_metrics().decode())
"""


def test_one_worker_answers_for_all(tmp_path):
    outputs = [
        subprocess.run(
            [sys.executable, "-c", WORKER.format(version=version)],
            env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for version in (3, 2)
    ]
    assert 'stepup_redemptions_total{outcome="granted"} 2.0' in outputs[1]
    assert "stepup_policy_version 2.0" in outputs[1]


def test_every_metric_is_ours_and_says_what_it_is():
    metrics = list(telemetry.describe_metrics())
    assert len(metrics) >= 10
    for metric in metrics:
        assert metric.name.startswith("stepup_")
        assert metric.text.endswith(".")
