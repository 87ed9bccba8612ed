"""Reads a server's metrics with the parser of Prometheus' own client: metrics_client.py URL TOKEN prints each sample as name, labels and value."""

import json
import math
import sys
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families

url, token = sys.argv[1:]
request = urllib.request.Request(f"{url}/api/v1/metrics", headers={"authorization": f"Bearer {token}"})
with urllib.request.urlopen(request) as response:
    text, kind = response.read().decode(), response.headers["content-type"]
families = text_string_to_metric_families(text)
# JSON has no NaN, which is what is not known yet.
samples = [[sample.name, sample.labels, None if math.isnan(sample.value) else sample.value] for family in families for sample in family.samples]
json.dump({"type": kind, "text": text, "samples": samples}, sys.stdout)
