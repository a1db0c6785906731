"""What a Herald imports before it works: once, in the process from which all Heralds of the storm are forked."""

import bot.services.jira.tracker
import bot.services.slack.chat
import tests.chaos.leader_worker
from bot.app import load_for_work
from bot.config.models import Config

LOADED = bot.services.jira.tracker, bot.services.slack.chat, tests.chaos.leader_worker
load_for_work(Config.model_validate({"pipeline": {"any": {"experiment": "any", "metrics": {"ndcg": {}}}}}))
