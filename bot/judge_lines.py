"""The judge on anyone's numbers."""
import json, sys
from bot.domain.judge.track import Track, watch, Sight
from bot.domain.policy import Preset
def judge_lines(lines,*,preset):
    for line in lines:
        rec=json.loads(line); sign=1 if rec.get("higher_is_better",True) else -1
        track=Track(); alerts=[];changes=[]
        for i,v in enumerate(rec["values"]):
            track,view=watch(track,sign*v,preset)
            if view.sight is Sight.FELL: alerts.append(i);changes.append(view.onset)
        yield json.dumps({"id":rec["id"],"alerts":alerts,"changes":changes})
if __name__=="__main__":
    preset=Preset(sys.argv[sys.argv.index("--preset")+1])
    for o in judge_lines(sys.stdin,preset=preset): print(o)
