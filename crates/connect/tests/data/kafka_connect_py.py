"""Drives a worker through kafka-connect-py, as its users do: the library, then its program `kc`.

Arguments: the worker's URL, the program, the connector's configuration as JSON.
"""

import json
import subprocess
import sys
import time

from kafka_connect import KafkaConnect
from requests.exceptions import HTTPError

url, program, text = sys.argv[1:4]
config = json.loads(text)
plugin = config["connector.class"]
connect = KafkaConnect(url=url)


def until(what, holds):
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, f"in vain: {what}: {connect.list_connectors(expand='status')}"
        time.sleep(0.05)


def states():
    try:
        status = connect.get_connector_status("py")
    except HTTPError as error:
        # As in Connect, a connector has no status before it was given to a worker.
        assert error.response.status_code == 404, error
        return []
    return [status["connector"]["state"]] + [task["state"] for task in status["tasks"]]


info = connect.get_cluster_info()
assert info["version"] == "3.5.1" and info["kafka_cluster_id"], info
assert plugin in [each["class"] for each in connect.list_connector_plugins()]

# What cannot be used is told before it is posted.
wrong = connect.validate_connector_config(plugin, {key: config[key] for key in config if key != "topic.prefix"})
told = {each["value"]["name"]: each["value"]["errors"] for each in wrong["configs"] if each["value"]["errors"]}
assert wrong["error_count"] > 0 and "topic.prefix" in told, told
right = connect.validate_connector_config(plugin, dict(config, name="py"))
assert right["error_count"] == 0, right

made = connect.create_connector({"name": "py", "config": config})
assert made["name"] == "py" and made["config"]["name"] == "py" and made["type"] == "source", made
until("it runs", lambda: states() == ["RUNNING", "RUNNING"])
assert connect.list_connectors(pattern="p.", state="running") == ["py"]
assert connect.list_connectors(expand="info")["py"]["info"]["config"]["topic.prefix"] == config["topic.prefix"]
assert connect.get_connector("py")["tasks"] == [{"connector": "py", "task": 0}]
assert connect.get_connector_config("py") == dict(config, name="py")
until("its topic is known", lambda: connect.list_connector_topics("py")["py"]["topics"])

try:
    connect.create_connector({"name": "py", "config": config})
    raise AssertionError("made twice")
except HTTPError as error:
    assert error.response.status_code == 409 and "already exists" in error.response.json()["message"]

connect.pause_connector("py")
until("it is paused", lambda: states() == ["PAUSED", "PAUSED"])
connect.resume_connector("py")
until("it runs again", lambda: states() == ["RUNNING", "RUNNING"])
restarted = connect.restart_connector("py", include_tasks=True)
assert restarted["connector"]["state"] == "RESTARTING", restarted
until("it was restarted", lambda: states() == ["RUNNING", "RUNNING"])
assert connect.restart_connector("py", include_tasks=True, only_failed=True)["connector"]["state"] == "RUNNING"
connect.restart_connector_task("py", 0)
until("its task was restarted", lambda: connect.get_connector_task_status("py", 0)["state"] == "RUNNING")
assert connect.list_connector_tasks("py")[0]["id"] == {"connector": "py", "task": 0}
connect.reset_connector_topics("py")
assert connect.list_connector_topics("py")["py"]["topics"] == []
updated = connect.update_connector("py", dict(config, **{"max.batch.size": "100"}))
assert updated["config"]["max.batch.size"] == "100", updated
until("the new configuration runs", lambda: states() == ["RUNNING", "RUNNING"])
connect.stop_connector("py")
until("it is stopped", lambda: states() == ["STOPPED"])


def kc(*arguments):
    done = subprocess.run([program, "--url", url, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    return done.stdout.strip()


assert json.loads(kc("list")) == ["py"]
assert json.loads(kc("get", "py"))["tasks"] == []
kc("resume", "py")
until("it runs for the program", lambda: states() == ["RUNNING", "RUNNING"])
kc("delete", "py")
until("it is gone", lambda: json.loads(kc("list")) == [])
assert "404" in kc("status", "py")
print("all good")
