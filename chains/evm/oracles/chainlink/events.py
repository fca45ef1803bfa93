"""What a Chainlink aggregator emits, and the views of its proxy (sources: `AggregatorInterface`, `EACAggregatorProxy`)."""

from chains.evm.abi import Event, Function

ANSWER_UPDATED = Event("AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt)")

AGGREGATOR = Function("aggregator()", "address")
DECIMALS = Function("decimals()", "uint8")
ROUND = Function("latestRoundData()", "uint80", "int256", "uint256", "uint256", "uint80")
TYPE_AND_VERSION = Function("typeAndVersion()", "string")
DELAYING = "DualAggregator "
"""What the type of an aggregator begins with that shows one proxy its answers late (`DualAggregator`, behind SVR feeds)."""

LATEST_ANSWER = Function("latestAnswer()", "int256")
