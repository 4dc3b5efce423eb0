"""Re-authorizers (再次授权): may this person do this item now?"""
