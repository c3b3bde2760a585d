"""The spine: records, contracts, queues, runner, delivery, own telemetry. Imports nothing of ours."""
