// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.19;

/// @notice A price aggregator with Chainlink's reads and events, and switches for the ways in which a feed fails.
contract Aggregator {
    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);
    event NewRound(uint256 indexed roundId, address indexed startedBy, uint256 startedAt);

    struct Round {
        int256 answer;
        uint64 startedAt;
        uint64 updatedAt;
    }

    uint8 public immutable decimals;
    string public description;
    uint256 public constant version = 4;

    bool public reverting;
    uint80 private lastRound;
    mapping(uint80 => Round) private rounds;

    constructor(uint8 decimals_, string memory description_) {
        decimals = decimals_;
        description = description_;
    }

    /// @notice Publishes an answer as of this block.
    function transmit(int256 answer) external {
        transmitAt(answer, block.timestamp);
    }

    /// @notice Publishes an answer with an age of the caller's choice.
    function transmitAt(int256 answer, uint256 updatedAt) public {
        lastRound += 1;
        rounds[lastRound] = Round(answer, uint64(block.timestamp), uint64(updatedAt));
        emit NewRound(lastRound, address(0), block.timestamp);
        emit AnswerUpdated(answer, lastRound, updatedAt);
    }

    /// @notice Changes the age of the last answer, and emits nothing.
    function setUpdatedAt(uint256 updatedAt) external {
        rounds[lastRound].updatedAt = uint64(updatedAt);
    }

    /// @notice While set, every read of an answer reverts.
    function setReverting(bool on) external {
        reverting = on;
    }

    function latestAnswer() external view returns (int256) {
        return read(lastRound).answer;
    }

    function latestRound() external view returns (uint256) {
        read(lastRound);
        return lastRound;
    }

    function latestTimestamp() external view returns (uint256) {
        return read(lastRound).updatedAt;
    }

    function getRoundData(uint80 roundId) public view returns (uint80, int256, uint256, uint256, uint80) {
        Round memory round = read(roundId);
        require(round.startedAt != 0, "No data present");
        return (roundId, round.answer, round.startedAt, round.updatedAt, roundId);
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return getRoundData(lastRound);
    }

    function read(uint80 roundId) private view returns (Round memory) {
        require(!reverting, "feed is down");
        return rounds[roundId];
    }
}

/// @notice The fixed address in front of changing aggregators. As with Chainlink's, a change of aggregator emits nothing.
contract FeedProxy {
    address public immutable owner = msg.sender;
    Aggregator public aggregator;
    Aggregator public proposedAggregator;
    uint16 public phaseId;
    mapping(uint16 => Aggregator) public phaseAggregators;

    modifier onlyOwner() {
        require(msg.sender == owner, "Only callable by owner");
        _;
    }

    constructor(Aggregator first) {
        enter(first);
    }

    function proposeAggregator(Aggregator proposed) external onlyOwner {
        proposedAggregator = proposed;
    }

    function confirmAggregator(Aggregator confirmed) external onlyOwner {
        require(confirmed == proposedAggregator, "Invalid proposed aggregator");
        delete proposedAggregator;
        enter(confirmed);
    }

    function latestAnswer() external view returns (int256) {
        return aggregator.latestAnswer();
    }

    function latestTimestamp() external view returns (uint256) {
        return aggregator.latestTimestamp();
    }

    function latestRound() external view returns (uint256) {
        return inPhase(phaseId, uint80(aggregator.latestRound()));
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return withPhase(phaseId, 0);
    }

    function getRoundData(uint80 roundId) external view returns (uint80, int256, uint256, uint256, uint80) {
        return withPhase(uint16(roundId >> 64), uint64(roundId));
    }

    function decimals() external view returns (uint8) {
        return aggregator.decimals();
    }

    function description() external view returns (string memory) {
        return aggregator.description();
    }

    function version() external view returns (uint256) {
        return aggregator.version();
    }

    function enter(Aggregator next) private {
        phaseId += 1;
        aggregator = next;
        phaseAggregators[phaseId] = next;
    }

    function withPhase(uint16 phase, uint64 round)
        private
        view
        returns (uint80 id, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredIn)
    {
        Aggregator source = phaseAggregators[phase];
        (id, answer, startedAt, updatedAt, answeredIn) =
            round == 0 ? source.latestRoundData() : source.getRoundData(round);
        id = inPhase(phase, id);
        answeredIn = inPhase(phase, answeredIn);
    }

    function inPhase(uint16 phase, uint80 round) private pure returns (uint80) {
        return (uint80(phase) << 64) | round;
    }
}

/// @notice An aggregator that shows one reader its answers late, unless they came by that reader's own way.
contract DelayingAggregator {
    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);

    string public constant typeAndVersion = "DualAggregator 1.0.0";
    uint8 public constant decimals = 8;
    uint256 public constant version = 6;
    uint256 public immutable cutoff;
    address public reader;
    uint80 public latest;
    uint80 public early;
    bool private earlyOnly;
    mapping(uint80 => int256) private answers;
    mapping(uint80 => uint256) private times;

    constructor(uint256 cutoff_) {
        cutoff = cutoff_;
    }

    function setReader(address reader_) external {
        reader = reader_;
    }

    function transmit(int256 answer) external {
        publish(answer, false);
    }

    /// @notice Publishes an answer that the reader is shown at once.
    function transmitEarly(int256 answer) external {
        publish(answer, true);
    }

    function publish(int256 answer, bool forReader) private {
        latest += 1;
        (answers[latest], times[latest], earlyOnly) = (answer, block.timestamp, forReader);
        if (forReader) early = latest;
        emit AnswerUpdated(answer, latest, block.timestamp);
    }

    /// @notice Shows the reader the last answer now, without a word of this kind.
    function reveal() external {
        early = latest;
    }

    function latestAnswer() external view returns (int256) {
        return answers[visible()];
    }

    function latestRoundData() external view returns (uint80 id, int256 answer, uint256 begun, uint256 at, uint80 inRound) {
        id = visible();
        return (id, answers[id], times[id], times[id], id);
    }

    function visible() private view returns (uint80 id) {
        if (msg.sender != reader) {
            bool hidden = latest == early && earlyOnly && times[latest] == block.timestamp;
            return hidden ? latest - 1 : latest;
        }
        if (times[early] + cutoff >= block.timestamp) return early;
        for (id = latest; id > 0 && id != early; id--) {
            if (times[id] + cutoff < block.timestamp) return id;
        }
    }
}
