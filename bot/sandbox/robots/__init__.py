"""Stand-ins for Teams' workflows and for the robots and apps of Feishu, DingTalk and WeCom, which take cards."""
