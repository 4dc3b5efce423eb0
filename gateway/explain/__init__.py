"""`tongguan explain`: question.py is asked, paper.py follows the path, inward.py stands where the forwarders do."""
